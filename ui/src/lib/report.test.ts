import { afterEach, describe, expect, it } from "vitest";
import { createFake } from "./backend/fake";
import { metricsOf } from "./backend/fake-metrics";
import type { AxisAssessment } from "./backend/types/AxisAssessment";
import type { AxisMetrics } from "./backend/types/AxisMetrics";
import { setLanguage } from "./i18n";
import { endedEarly, formatMetric, majorityOf, REPORT_METRICS, scaleOf } from "./report";
import { reportVerdict } from "./reportVerdict";
import { reportTexts } from "./verdictText";

afterEach(() => setLanguage("en"));

type Pair = [number, number];

function judged(confusion: AxisMetrics["confusion"], accuracy: Pair, balanced: Pair = [0, 1]): AxisAssessment {
  return { metrics: metricsOf(confusion), intervals: { accuracy, balanced_accuracy: balanced } };
}

describe("the verdict by intervals", () => {
  it("calls a model better only where its whole interval lies above the majority line", () => {
    const good = judged([[80, 20], [20, 80]], [0.74, 0.86]);
    expect(reportVerdict({ axis: "E-I", model: good, words: undefined })).toEqual({
      line: { kind: "better", letter: "E", accuracy: 0.8, interval: [0.74, 0.86], majority: 0.5 },
      apart: null,
      words: null,
    });
    const wide = { ...good, intervals: { accuracy: [0.49, 0.95] as Pair } };
    expect(reportVerdict({ axis: "E-I", model: wide, words: undefined }).line.kind).toBe("not_shown");
  });

  it("names the commoner letter, and grants that letters are told apart though the line is not reached", () => {
    const model = judged([[160, 40], [250, 550]], [0.67, 0.75], [0.7, 0.78]);
    const found = reportVerdict({ axis: "E-I", model, words: undefined });
    expect(found.line).toMatchObject({ kind: "worse", letter: "I", majority: 0.8 });
    expect(found.apart).toEqual({ balanced: 0.74375, interval: [0.7, 0.78] });
    expect(reportTexts({ axis: "E-I", model, words: undefined })).toEqual([
      "E-I: right for 71.0% (67.0% to 75.0%), less often than always answering I (80.0%).",
      "It does tell the letters apart somewhat: balanced accuracy 74.4% (70.0% to 78.0%), where guessing gives 50.0%.",
    ]);
  });

  it.each([
    ["better", [[80, 20], [20, 80]], [0.75, 0.85], [[60, 40], [40, 60]], [0.55, 0.65]],
    ["unclear", [[80, 20], [20, 80]], [0.7, 0.9], [[70, 30], [30, 70]], [0.6, 0.8]],
    ["no_better", [[60, 40], [40, 60]], [0.5, 0.7], [[60, 40], [40, 60]], [0.5, 0.7]],
  ] as const)("is %s than the bag of words by what the intervals allow", (kind, mine, interval, theirs, other) => {
    const model = judged(mine as never, [0.1, 0.9], interval as never);
    const words = judged(theirs as never, [0.1, 0.9], other as never);
    expect(reportVerdict({ axis: "F-T", model, words }).words?.kind).toBe(kind);
    for (const language of ["en", "zh"] as const) {
      setLanguage(language);
      const texts = reportTexts({ axis: "F-T", model, words });
      expect(texts).toHaveLength(kind === "no_better" ? 2 : 3);
      for (const text of texts) expect(text).not.toMatch(/[{}—]/);
    }
  });

  it("says nothing of one letter only, and has no value where nothing was judged", () => {
    const one = judged([[0, 0], [3, 7]], [0.5, 0.9]);
    expect(reportTexts({ axis: "E-I", model: one, words: one })[0]).toContain("all 10 held-out texts are I");
    expect(reportVerdict({ axis: "E-I", model: undefined, words: undefined }).line.kind).toBe("no_value");
    const bare = { metrics: metricsOf([[5, 5], [5, 5]]), intervals: {} };
    expect(reportVerdict({ axis: "E-I", model: bare, words: undefined }).line.kind).toBe("no_value");
  });
});

describe("the majority line", () => {
  it("is what always giving the commoner letter reaches, by each measure", () => {
    const metrics = metricsOf([[0, 25], [0, 75]]);
    const lines = Object.fromEntries(REPORT_METRICS.map((metric) => [metric, majorityOf(metrics, metric)]));
    expect(lines).toMatchObject({ accuracy: 0.75, balanced_accuracy: 0.5, roc_auc: 0.5, mcc: null });
    expect(lines["macro_f1"]).toBeCloseTo(metrics.macro_f1!, 12);
    expect(lines["log_loss"]).toBeCloseTo(0.5623, 4);
    expect(majorityOf(metricsOf([[0, 0], [1, 1]]), "balanced_accuracy")).toBeNull();
    expect(majorityOf(undefined, "accuracy")).toBeNull();
  });
});

describe("a measure", () => {
  it("is written as a percentage or with three digits", () => {
    expect(formatMetric("en", "accuracy", 0.75)).toBe("75.0%");
    expect(formatMetric("en", "mcc", 0.1234)).toBe("0.123");
  });

  it("has a scale that every value lies on", () => {
    expect(scaleOf("accuracy", [0.7, null])).toEqual([0.4, 1]);
    expect(scaleOf("accuracy", [0.3])).toEqual([0.3, 1]);
    expect(scaleOf("log_loss", [2.5, 0.1])).toEqual([0, 2.5]);
  });
});

describe("an early end", () => {
  it("is told from a run that went through", async () => {
    const { run } = await createFake({ startingPoint: "finished" }).showRun(1, 0);
    expect(endedEarly(run)).toBe(false);
    const early = { ...run, total_steps: 400, config: { ...run.config, early_stopping_patience: 3 } };
    expect(endedEarly(early)).toBe(true);
    expect(endedEarly({ ...early, status: "stopped" })).toBe(false);
    // The last step was not written down.
    const sparse = { ...early, total_steps: run.last_step!.step + 3, config: { ...early.config, logging_steps: 5 } };
    expect(endedEarly(sparse)).toBe(false);
  });
});
