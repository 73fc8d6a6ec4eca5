import { afterEach, describe, expect, it } from "vitest";
import { metricsOf } from "./backend/fake-metrics";
import { setLanguage } from "./i18n";
import { majorityMacroF1, verdict } from "./verdict";
import { verdictText } from "./verdictText";

afterEach(() => setLanguage("en"));

describe("the honest verdict", () => {
  it("says that there is none before the first evaluation", () => {
    expect(verdict("E-I", undefined)).toEqual({ kind: "no_value" });
    expect(verdict("E-I", metricsOf([[0, 0], [0, 0]]))).toEqual({ kind: "no_value" });
  });

  it("says nothing of letters that were not both there", () => {
    expect(verdict("E-I", metricsOf([[0, 0], [3, 7]]))).toEqual({ kind: "one_letter", letter: "I", texts: 10 });
  });

  it("sees through a model that always gives the commoner letter", () => {
    const found = verdict("E-I", metricsOf([[0, 23], [0, 77]]));
    expect(found).toEqual({ kind: "no_better", letter: "I", accuracy: 0.77, majority: 0.77 });
  });

  it("names the first letter where that is the commoner", () => {
    expect(verdict("N-S", metricsOf([[70, 10], [20, 0]]))).toMatchObject({ kind: "no_better", letter: "N" });
  });

  it("names no letter where both are equally common", () => {
    expect(verdict("J-P", metricsOf([[25, 25], [30, 20]]))).toEqual({ kind: "no_better_even", accuracy: 0.45 });
  });

  it("grants that letters are told apart where only the accuracy is low", () => {
    const found = verdict("E-I", metricsOf([[160, 40], [250, 550]]));
    expect(found.kind).toBe("balanced");
  });

  it("takes a small lead on few texts for possible luck, and on many for real", () => {
    expect(verdict("F-T", metricsOf([[12, 8], [9, 11]])).kind).toBe("maybe_luck");
    expect(verdict("F-T", metricsOf([[1200, 800], [900, 1100]])).kind).toBe("better");
  });

  it("reads as a sentence in both languages", () => {
    const nothing = metricsOf([[0, 23], [0, 77]]);
    expect(verdictText("E-I", nothing)).toBe("E-I: no better than always answering I (77.0% against 77.0%).");
    setLanguage("zh");
    expect(verdictText("E-I", nothing)).toContain("不比一直回答 I 更好");
    expect(verdictText("E-I", undefined)).toContain("暂无数值");
  });

  it("fills in every sentence", () => {
    const kinds = [
      metricsOf([[0, 0], [3, 7]]),
      metricsOf([[25, 25], [30, 20]]),
      metricsOf([[160, 40], [250, 550]]),
      metricsOf([[12, 8], [9, 11]]),
      metricsOf([[1200, 800], [900, 1100]]),
    ];
    for (const metrics of kinds) {
      expect(verdictText("E-I", metrics)).toMatch(/^E-I: /);
      expect(verdictText("E-I", metrics)).not.toMatch(/[{}—]/);
    }
  });
});

describe("the macro-F1 of the commoner letter", () => {
  it("is that of a model that always gives it", () => {
    const metrics = metricsOf([[0, 23], [0, 77]]);
    expect(majorityMacroF1(metrics)).toBeCloseTo(metrics.macro_f1!, 12);
    expect(majorityMacroF1({ ...metrics, majority_accuracy: null })).toBeNull();
  });
});
