import { describe, expect, it } from "vitest";
import { FAKE_DEFAULTS } from "./backend/fake";
import type { TrainConfig } from "./backend/types/TrainConfig";
import { classWeightsOf, configOf, draftOf, draftProblem, isAllowed, type NumberSetting } from "./draft";

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
    { gradient_checkpointing: true },
    { class_weights: "none" },
    { class_weights: "0.6,0.4" },
  ])("gives back %j", (changed) => {
    const config = { ...FAKE_DEFAULTS, ...changed };
    expect(configOf(draftOf(config))).toEqual(config);
    expect(draftProblem(draftOf(config))).toBeNull();
  });

  it.each<[NumberSetting, string]>([
    ["epochs", "0"],
    ["epochs", ""],
    ["epochs", "many"],
    ["epochs", "Infinity"],
    ["max_steps", "2.5"],
    ["max_steps", "0"],
    ["batch_size", "4294967296"],
    ["learning_rate", "1.5"],
    ["weight_decay", "-1"],
    ["max_length", "3"],
    ["validation_fraction", "1"],
    ["seed", "-1"],
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

  it("refuses to learn no axis", () => {
    const draft = draftOf({ ...FAKE_DEFAULTS, axes: [] });
    expect(draftProblem(draft)?.params["name"]).toBe("axes");
  });

  it("understands full-width digits and an exponent", () => {
    const draft = draftOf(FAKE_DEFAULTS);
    draft.numbers.batch_size = "１６";
    draft.numbers.learning_rate = "2e-5";
    draft.numbers.eval_steps = " ";
    expect(configOf(draft)).toMatchObject({ batch_size: 16, learning_rate: 0.00002, eval_steps: null });
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
