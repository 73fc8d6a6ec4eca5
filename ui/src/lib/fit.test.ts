import { describe, expect, it } from "vitest";
import { FAKE_DEFAULTS } from "./backend/fake-config";
import { configOf, draftOf } from "./draft";
import { applySettings, settingsFrom } from "./fit";

describe("settings from a text", () => {
  it("may have commas in their values", () => {
    expect(settingsFrom("trainable=lora, lora_target_modules=q_proj,v_proj,class_weights=0.6,0.4")).toEqual([
      ["trainable", "lora"],
      ["lora_target_modules", "q_proj,v_proj"],
      ["class_weights", "0.6,0.4"],
    ]);
    expect(settingsFrom("")).toEqual([]);
    expect(settingsFrom("alone")).toEqual([]);
  });

  it("are put into a draft, each kind of them", () => {
    const draft = draftOf(FAKE_DEFAULTS);
    const text =
      "trainable=lora,gradient_checkpointing=all,per_device_train_batch_size=1,max_tokens_per_batch=null," +
      "dtype=bf16,optim=adamw_8bit,lora_target_modules=q_proj,v_proj,class_weights=0.6,0.4,device=cuda:1,tokens_per_pass=4096";
    applySettings(draft, settingsFrom(text));
    expect(configOf(draft)).toEqual({
      ...FAKE_DEFAULTS,
      trainable: "lora",
      gradient_checkpointing: "all",
      per_device_train_batch_size: 1,
      dtype: "bf16",
      optim: "adamw_8bit",
      lora_target_modules: ["q_proj", "v_proj"],
      class_weights: "0.6,0.4",
      device: "cuda:1",
      tokens_per_pass: 4096,
    });
  });

  it("that are not known, or have a word that cannot be, change nothing", () => {
    const draft = draftOf(FAKE_DEFAULTS);
    applySettings(draft, settingsFrom("quantum=true,toString=1,dtype=f8,tokens_per_pass=some,tokens_per_pass=3"));
    expect(configOf(draft)).toEqual(FAKE_DEFAULTS);
  });
});
