import { describe, expect, it } from "vitest";
import { FAKE_DEFAULTS } from "./backend/fake";
import { configOf, draftOf, draftProblem, isAllowed, type NumberSetting } from "./draft";

describe("a draft", () => {
  it("gives back the config that it was made of", () => {
    const config = { ...FAKE_DEFAULTS, data: "a", model: "words", max_steps: 7, learning_rate: 2e-5, valid: "b" };
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
  ])("refuses %s of %j", (name, text) => {
    expect(isAllowed(name, text)).toBe(false);
    const draft = draftOf(FAKE_DEFAULTS);
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
});
