import { describe, expect, it } from "vitest";
import { FAKE_DEFAULTS, FAKE_PRESETS } from "./backend/fake-config";
import type { TrainConfig } from "./backend/types/TrainConfig";
import { classWeightsOf, configOf, draftOf, draftProblem, presetDraft, sameRun } from "./draft";
import { isAllowed, isTokensPerPass, type NumberSetting } from "./numbers";

describe("a draft", () => {
  it("gives back the config that it was made of", () => {
    const config = { ...FAKE_DEFAULTS, data: "a", model: "words", max_steps: 7, learning_rate: 2e-5, valid: "b" };
    expect(configOf(draftOf(config))).toEqual(config);
    expect(draftProblem(draftOf(config))).toBeNull();
  });

  it.each<Partial<TrainConfig>>([
    { dtype: "bf16" },
    { trainable: "head" },
    { trainable: "lora", lora_rank: 64, lora_alpha: 12.5, lora_dropout: 0.1 },
    { trainable: "lora", lora_target_modules: ["q_proj", "v_proj"], use_rslora: true },
    { trainable: "lora", quantization: "nf4" },
    { gradient_checkpointing: "alternate", load_best_model_at_end: false },
    { dtype: "tf32", optim: "adamw_8bit", split_by: "text", sample_fraction: 0.1 },
    { lr_scheduler_type: "constant_with_warmup", warmup_steps: 20, warmup_ratio: 0.1, adam_epsilon: 1e-6 },
    { metric_for_best_model: "roc_auc", early_stopping_patience: 3, early_stopping_threshold: 0.01, save_total_limit: 0 },
    { max_tokens_per_batch: 2048, per_device_eval_batch_size: 4, save_steps: 7, logging_steps: 5, max_grad_norm: 0 },
    { tokens_per_pass: 4096 },
    { tokens_per_pass: "none", max_tokens_per_batch: 2048 },
    { class_weights: "none" },
    { class_weights: "0.6,0.4" },
    { push_to_hub: "mira/mbti-2.0_b", hub_private_repo: true },
    { push_to_hub: "mbti" },
  ])("gives back %j", (changed) => {
    const config = { ...FAKE_DEFAULTS, ...changed };
    expect(configOf(draftOf(config))).toEqual(config);
    expect(draftProblem(draftOf(config))).toBeNull();
  });

  it("quantises the base only where LoRA learns beside it", () => {
    const draft = draftOf({ ...FAKE_DEFAULTS, trainable: "lora", quantization: "int8" });
    expect(configOf({ ...draft, trainable: "all" }).quantization).toBe("none");
    expect(configOf(draft).quantization).toBe("int8");
  });

  it.each<[NumberSetting, string]>([
    ["num_train_epochs", "0"],
    ["num_train_epochs", "many"],
    ["num_train_epochs", "Infinity"],
    ["max_steps", "2.5"],
    ["max_steps", "0"],
    ["max_steps", "10000001"],
    ["max_length", "1048577"],
    ["gradient_accumulation_steps", "65537"],
    ["per_device_train_batch_size", "4294967296"],
    ["learning_rate", "1.5"],
    ["weight_decay", "-1"],
    ["max_length", "3"],
    ["validation_fraction", "1"],
    ["seed", "-1"],
    ["sample_fraction", "0"],
    ["sample_fraction", "1.1"],
    ["max_tokens_per_batch", "3"],
    ["per_device_eval_batch_size", "0"],
    ["warmup_steps", "1.5"],
    ["warmup_ratio", "1"],
    ["adam_beta1", "1"],
    ["adam_beta2", "-0.1"],
    ["adam_epsilon", "0"],
    ["max_grad_norm", "1000001"],
    ["save_steps", "0"],
    ["logging_steps", ""],
    ["save_total_limit", "-1"],
    ["early_stopping_patience", "0.5"],
    ["early_stopping_threshold", "1001"],
    ["lora_rank", "0"],
    ["lora_rank", "2.5"],
    ["lora_alpha", "0"],
    ["lora_alpha", "10001"],
    ["lora_dropout", "1"],
    ["lora_dropout", ""],
  ])("refuses %s of %j", (name, text) => {
    expect(isAllowed(name, text)).toBe(false);
    const draft = draftOf({ ...FAKE_DEFAULTS, trainable: "lora" });
    draft.numbers[name] = text;
    expect(draftProblem(draft)).toMatchObject({ code: "bad_setting", params: { name, value: text } });
  });

  it.each(["mira/", "/mbti", "a/b/c", "a b", "mira/模型", "https://huggingface.co/mira/mbti"])("pushes to no %j", (text) => {
    const draft = { ...draftOf(FAKE_DEFAULTS), push_to_hub: ` ${text} ` };
    expect(draftProblem(draft)).toMatchObject({ code: "bad_setting", params: { name: "push_to_hub", value: text } });
  });

  it("pushes nowhere where no repository is named", () => {
    const draft = { ...draftOf(FAKE_DEFAULTS), push_to_hub: "  " };
    expect(draftProblem(draft)).toBeNull();
    expect(configOf(draft).push_to_hub).toBeNull();
  });

  it("refuses to learn no axis", () => {
    const draft = draftOf({ ...FAKE_DEFAULTS, axes: [] });
    expect(draftProblem(draft)?.params["name"]).toBe("axes");
  });

  it("understands full-width digits and an exponent", () => {
    const draft = draftOf(FAKE_DEFAULTS);
    draft.numbers.per_device_train_batch_size = "１６";
    draft.numbers.learning_rate = "2e-5";
    draft.numbers.eval_steps = " ";
    expect(configOf(draft)).toMatchObject({ per_device_train_batch_size: 16, learning_rate: 0.00002, eval_steps: null });
  });

  it("is not held up by what was typed for LoRA before something else was chosen", () => {
    const draft = draftOf({ ...FAKE_DEFAULTS, trainable: "head" });
    draft.numbers.lora_rank = "many";
    draft.numbers.lora_alpha = "32";
    expect(draftProblem(draft)).toBeNull();
    expect(configOf(draft)).toMatchObject({ trainable: "head", lora_rank: 8, lora_alpha: 32 });
  });

  it("takes the names of layers with either comma, and without names all layers", () => {
    const draft = draftOf(FAKE_DEFAULTS);
    draft.lora_target_modules = " query， key、value,";
    expect(configOf(draft).lora_target_modules).toEqual(["query", "key", "value"]);
    draft.lora_target_modules = " , ";
    expect(configOf(draft).lora_target_modules).toEqual([]);
  });
});

describe("a preset", () => {
  it.each(FAKE_PRESETS)("$preset fills in all but the data and the model", ({ config }) => {
    const draft = draftOf({ ...FAKE_DEFAULTS, data: "mine", valid: "yours", model: "words" });
    const filled = presetDraft(config, draft);
    expect(configOf(filled)).toEqual({ ...config, data: "mine", valid: "yours", model: "words" });
    expect(draftProblem(filled)).toBeNull();
    expect(sameRun(filled, draft)).toBe(false);
    expect(sameRun(filled, presetDraft(config, filled))).toBe(true);
  });

  it("leaves where the model goes as it was chosen", () => {
    const draft = draftOf({ ...FAKE_DEFAULTS, push_to_hub: "mira/mbti", hub_private_repo: true });
    const filled = configOf(presetDraft(FAKE_PRESETS[0]!.config, draft));
    expect(filled).toMatchObject({ push_to_hub: "mira/mbti", hub_private_repo: true, optim: "adamw_8bit" });
  });

  it("takes a setting that was left out for one that is empty", () => {
    const { max_steps: _, valid: __, ...rest } = FAKE_DEFAULTS;
    const config = configOf(draftOf(rest as TrainConfig));
    expect(config).toMatchObject({ max_steps: null, valid: null });
  });
});

describe("the tokens computed at once", () => {
  it.each(["4", " 4096 ", "４０９６", "16777216"])("are read from %j", (text) => {
    const draft = { ...draftOf(FAKE_DEFAULTS), tokens_per_pass: "given" as const, tokens_per_pass_given: text };
    expect(draftProblem(draft)).toBeNull();
    expect(configOf(draft).tokens_per_pass).toBe(Number(text.normalize("NFKC")));
  });

  it.each(["", "3", "2.5", "-1", "16777217", "many", "auto"])("are refused from %j, if they are asked for", (text) => {
    expect(isTokensPerPass(text)).toBe(false);
    const draft = { ...draftOf(FAKE_DEFAULTS), tokens_per_pass: "given" as const, tokens_per_pass_given: text };
    expect(draftProblem(draft)).toMatchObject({ code: "bad_setting", params: { name: "tokens_per_pass", value: text } });
    expect(draftProblem({ ...draft, tokens_per_pass: "auto" })).toBeNull();
    expect(configOf({ ...draft, tokens_per_pass: "none" }).tokens_per_pass).toBe("none");
  });

  it("are automatic in what an older version has written", () => {
    const { tokens_per_pass: _, ...older } = FAKE_DEFAULTS;
    expect(configOf(draftOf(older as TrainConfig)).tokens_per_pass).toBe("auto");
  });
});

describe("class weights", () => {
  it.each(["0.6,0.4", " 0.6 , 0.4 ", "０．６，０．４", "0。6、0。4", "6e-1,.4"])("are read from %j", (text) => {
    expect(classWeightsOf(text)).toEqual([0.6, 0.4]);
    const draft = { ...draftOf(FAKE_DEFAULTS), class_weights: "given" as const, class_weights_given: text };
    expect(configOf(draft).class_weights).toBe("0.6,0.4");
  });

  const wrong = ["", "0.6", "0.6,", "0.6,0", "0.6,-1", "nan,1", "1,2,3", "0.6 0.4", "balanced", "1,1000001", "1,Infinity"];

  it.each(wrong)("are refused from %j, if they are asked for", (text) => {
    const draft = { ...draftOf(FAKE_DEFAULTS), class_weights: "given" as const, class_weights_given: text };
    const params = { name: "class_weights", value: text };
    expect(draftProblem(draft)).toMatchObject({ code: "bad_setting", params });
    expect(draftProblem({ ...draft, class_weights: "balanced" })).toBeNull();
  });

  it("begin as equal ones for who gives them", () => {
    const draft = draftOf(FAKE_DEFAULTS);
    draft.class_weights = "given";
    expect(configOf(draft).class_weights).toBe("1,1");
  });
});
