import { afterEach, describe, expect, it } from "vitest";
import { FAKE_DEFAULTS } from "./backend/fake";
import { estimateOf, FAKE_DEVICES } from "./backend/fake-config";
import type { Model } from "./backend/types/Model";
import type { TrainConfig } from "./backend/types/TrainConfig";
import { dictionaries, languages, setLanguage } from "./i18n";
import { deviceChoices, settingsOf } from "./settings";

const shown = (changed: Partial<TrainConfig>) => new Map(settingsOf({ ...FAKE_DEFAULTS, ...changed }));

afterEach(() => setLanguage("en"));

describe.each(languages)("the settings of a run in %s", (language) => {
  const { settings, checkpointings, dtypes, trainables, optims, schedulers, metrics, class_weightings, tokens_per_passes, when_empty, window } = dictionaries[language];

  it("are all there in words where LoRA is what learns", () => {
    setLanguage(language);
    const found = shown({
      trainable: "lora",
      dtype: "bf16",
      lora_rank: 64,
      lora_alpha: 12.5,
      lora_dropout: 0.1,
      lora_target_modules: ["query", "value"],
      use_rslora: true,
      push_to_hub: "mira/mbti",
      hub_private_repo: true,
    });
    const { folds, fold, ...others } = settings;
    expect([...found.keys()].sort()).toEqual(Object.values(others).sort());
    const crossed = shown({ folds: 5, fold: 2 });
    expect([crossed.get(folds), crossed.get(fold)]).toEqual(["5", "2"]);
    expect(crossed.has(settings.validation_fraction)).toBe(false);
    expect(found.get(settings.trainable)).toBe(trainables.lora);
    expect(found.get(settings.dtype)).toBe(dtypes.bf16);
    expect(found.get(settings.lora_rank)).toBe("64");
    expect(found.get(settings.lora_alpha)).toBe("12.5");
    expect(found.get(settings.lora_dropout)).toBe("0.1");
    expect(found.get(settings.lora_target_modules)).toBe("query, value");
    expect(found.get(settings.use_rslora)).toBe(window.yes);
    expect(found.get(settings.push_to_hub)).toBe("mira/mbti");
    expect(found.get(settings.hub_private_repo)).toBe(window.yes);
    expect(found.get(settings.gradient_checkpointing)).toBe(checkpointings.auto);
    expect(shown({ trainable: "lora" }).get(settings.lora_target_modules)).toBe(when_empty.lora_target_modules);
  });

  it("say that nothing is pushed, and then nothing of whose eyes it is for", () => {
    setLanguage(language);
    const found = shown({ hub_private_repo: true });
    expect(found.get(settings.push_to_hub)).toBe(when_empty.push_to_hub);
    expect(found.has(settings.hub_private_repo)).toBe(false);
  });

  it.each(["all", "head"] as const)("leave out LoRA's where %s learns", (trainable) => {
    setLanguage(language);
    const found = shown({ trainable, push_to_hub: "mbti" });
    expect(found.get(settings.trainable)).toBe(trainables[trainable]);
    expect([...found.keys()].filter((name) => name.includes("LoRA"))).toEqual([]);
    expect(found.has(settings.quantization)).toBe(false);
    expect(found.size).toBe(Object.keys(settings).length - 8);
  });

  it("say what an empty one means, and name the choices", () => {
    setLanguage(language);
    const found = shown({ optim: "adamw_8bit", lr_scheduler_type: "cosine", metric_for_best_model: "log_loss" });
    for (const name of ["num_train_epochs", "max_steps", "max_tokens_per_batch", "learning_rate", "save_steps"] as const) {
      expect(found.get(settings[name])).toBe(when_empty[name]);
    }
    expect(found.get(settings.optim)).toBe(optims.adamw_8bit);
    expect(found.get(settings.lr_scheduler_type)).toBe(schedulers.cosine);
    expect(found.get(settings.metric_for_best_model)).toBe(metrics.log_loss);
    expect(found.get(settings.adam_epsilon)).toBe("0.00000001");
  });

  it("leave out how a part is held out where none is", () => {
    setLanguage(language);
    const found = shown({ valid: "others" });
    expect(found.has(settings.validation_fraction)).toBe(false);
    expect(found.has(settings.split_by)).toBe(false);
  });

  it("tell how many tokens were computed at once, and which number was chosen where that was automatic", () => {
    setLanguage(language);
    for (const name of ["auto", "none"] as const) {
      expect(shown({ tokens_per_pass: name }).get(settings.tokens_per_pass)).toBe(tokens_per_passes[name]);
    }
    expect(shown({ tokens_per_pass: 4096 }).get(settings.tokens_per_pass)).toBe("4,096");
    const model: Model = {
      name: "m",
      family: "bert",
      parameters: 1_000_000,
      bytes: 4_000_000,
      folder: "m",
      built_in: false,
      created_at: "",
      origin: null,
    };
    const estimate = { ...estimateOf(FAKE_DEFAULTS, model, 10), tokens_per_pass: 8192 };
    const chosen = new Map(settingsOf(FAKE_DEFAULTS, estimate)).get(settings.tokens_per_pass);
    expect(chosen).toContain(tokens_per_passes.auto);
    expect(chosen).toContain("8,192");
    const { tokens_per_pass: _, ...older } = FAKE_DEFAULTS;
    expect(new Map(settingsOf(older as TrainConfig)).get(settings.tokens_per_pass)).toBe(tokens_per_passes.auto);
  });

  it("tell the class weights by name, or letter by letter", () => {
    setLanguage(language);
    for (const name of ["balanced", "none"] as const) {
      expect(shown({ class_weights: name }).get(settings.class_weights)).toBe(class_weightings[name]);
    }
    const given = shown({ class_weights: "0.6,0.4", axes: ["E-I", "J-P"] }).get(settings.class_weights);
    expect(given).toMatch(/E.*J.*0\.6.*I.*P.*0\.4/);
    expect(given).not.toMatch(/[NSFT]/);
  });
});

describe.each(languages)("the devices in %s", (language) => {
  const { window, unusables, settings } = dictionaries[language];

  const oldDriver = unusables.old_driver.replace("{found}", "535.183.01").replace("{needed}", "580");

  it("are those that the engine lists, and one that cannot be used says why", () => {
    setLanguage(language);
    const found = deviceChoices(FAKE_DEVICES, "auto");
    expect(found.map(({ device, usable, why }) => [device, usable, why])).toEqual([
      ["auto", true, null],
      ["cpu", true, null],
      ["cuda:0", false, oldDriver],
    ]);
    expect(found[1]?.text).toContain("16.0 GiB");
    expect(found[2]?.text).toBe("cuda:0 · Example graphics card");
    const nameless = deviceChoices([{ ...FAKE_DEVICES[1]!, name: "" }], "auto");
    expect(nameless[1]?.text).toBe(`cuda:0 · ${window.device_cuda}`);
    expect(new Map(settingsOf({ ...FAKE_DEFAULTS, device: "cuda:1" })).get(settings.device)).toBe(`cuda:1 · ${window.device_cuda}`);
  });

  it("are told apart by their numbers where two graphics cards are equal", () => {
    setLanguage(language);
    const card = (device: string) => ({ device, name: "A card", memory_mib: 8192, free_mib: 8000, unusable: null });
    const [, first, second] = deviceChoices([card("cuda:0"), card("cuda:1")], "auto");
    expect(first?.text).toBe(window.device_option.replace("{name}", "cuda:0 · A card").replace("{memory}", "8.0 GiB"));
    expect(second?.text).toBe(window.device_option.replace("{name}", "cuda:1 · A card").replace("{memory}", "8.0 GiB"));
  });

  it("are the processor and what is chosen where no list is there", () => {
    setLanguage(language);
    expect(deviceChoices([], "auto").map(({ text }) => text)).toEqual([window.device_auto, window.device_cpu]);
    expect(deviceChoices([], "cuda:1").map(({ device }) => device)).toEqual(["auto", "cpu", "cuda:1"]);
    expect(deviceChoices(FAKE_DEVICES, "cuda:1").at(-1)).toMatchObject({ device: "cuda:1", usable: true });
  });
});
