import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/svelte";
import { afterEach, describe, expect, it } from "vitest";
import App from "../App.svelte";
import { createFake } from "../lib/backend/fake";
import type { RunProgress } from "../lib/backend/types/RunProgress";
import type { Unusable } from "../lib/backend/types/Unusable";
import { dictionaries, languages, setLanguage, type Language } from "../lib/i18n";
import { fill } from "../lib/i18n/fill";
import { REPORT_METRICS } from "../lib/report";
import { at, open, type } from "./testing";

afterEach(() => setLanguage("en"));

/** Opens the report of the run with a language model, after `change` of what is known of it. */
async function openReport(language: Language = "en", change: (progress: RunProgress) => void = () => {}): Promise<void> {
  setLanguage(language);
  const fake = createFake({ startingPoint: "history" });
  const showRun = fake.showRun;
  fake.showRun = async (run, afterStep) => {
    const progress = await showRun(run, afterStep);
    if (run === 3) change(progress);
    return progress;
  };
  render(App, { backend: fake });
  await fireEvent.click(await at("nav-runs"));
  await fireEvent.click((await screen.findAllByTestId("runs-row"))[3]!);
  await at("report");
}

const row = async (axis: string, metric: string) =>
  (await at(`report-${axis}`)).querySelector<HTMLElement>(`tr[data-metric="${metric}"]`)!;

describe.each(languages)("the report in %s", (language) => {
  const words = dictionaries[language];

  it("sets the model against the commoner answer and the bag of words, with intervals", async () => {
    await openReport(language);
    for (const axis of ["E-I", "N-S", "F-T", "J-P"]) {
      const table = await at(`report-${axis}`);
      expect([...table.querySelectorAll("tr[data-metric]")].map((found) => found.getAttribute("data-metric"))).toEqual([
        ...REPORT_METRICS,
      ]);
    }
    const accuracy = await row("E-I", "accuracy");
    expect(accuracy.textContent).toMatch(/74\.1%.*73\.6%.*90\.8%/s);
    expect(accuracy.querySelector("svg")?.getAttribute("aria-label")).toContain("90.8%");
    expect(accuracy.querySelectorAll("line.model, line.words, line.majority")).toHaveLength(3);
    for (const line of accuracy.querySelectorAll("line")) expect(line.getAttribute("x1")).toMatch(/^[\d.]+%$/);
    const matrix = await at("matrix-E-I");
    expect([...matrix.querySelectorAll("td")].map((cell) => cell.textContent?.trim())).toEqual(["37", "8", "8", "121"]);
    expect(within(await at("report")).getByTestId("verdicts").children).toHaveLength(4);
  });

  it("shows a dash with a hint where a measure has no value", async () => {
    await openReport(language);
    const mcc = await row("N-S", "mcc");
    expect([...mcc.querySelectorAll(`[title="${words.window.no_value_hint}"]`)]).toHaveLength(3);
    expect(mcc.textContent).toContain("–");
  });

  it("judges by author as well", async () => {
    await openReport(language);
    await fireEvent.click(await at("level-author"));
    await waitFor(async () => expect((await at("report")).dataset["level"]).toBe("author"));
    expect((await at("report")).textContent).toContain("22");
    const matrix = await at("matrix-E-I");
    const counts = [...matrix.querySelectorAll("td")].map((cell) => Number(cell.textContent));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(22);
  });

  it("tells all letters together, the calibration and the best step", async () => {
    await openReport(language);
    expect((await at("report-whole")).textContent).toContain(words.window.exact_match);
    expect((await at("report-whole")).textContent).toContain("2.52");
    const calibration = await at("calibration");
    expect(calibration.querySelector('tr[data-axis="E-I"]')?.textContent).toMatch(/1\.68.*0\.485 → 0\.440.*0\.100 → 0\.030/s);
    const detail = await at("run-detail");
    expect(detail.textContent).toContain(words.window.kept_best.replace("{step}", "80"));
    expect(detail.textContent).toContain(words.window.memory_optimizer);
  });

  it("says that a temperature was refused and why, and what sets of answers cover", async () => {
    await openReport(language, ({ run }) => {
      const found = run.assessment!.calibration["J-P"]!;
      found.refused = { temperature: 12.5, why: "out_of_range" };
      run.assessment!.calibration["F-T"]!.refused = { temperature: 1.1, why: "no_better" };
    });
    const said = async (axis: string, key: "nothing_told" | "out_of_range" | "no_better", temperature: string) => {
      const text = (await at(`temperature-refused-${axis}`)).textContent?.trim() ?? "";
      const [before, after] = words.window[`temperature_${key}`]
        .replace("{axis}", axis)
        .replace("{temperature}", temperature)
        .split("{effect}");
      expect(text.startsWith(before!) && text.endsWith(after!)).toBe(true);
      // What it would do is in the note; the table has what is applied, which changes nothing.
      const [effect] = words.window.temperature_effect.split("{before}");
      expect(text).toContain(effect);
      const cells = (await at("calibration")).querySelectorAll(`tr[data-axis="${axis}"] td`);
      for (const cell of [cells[1]!, cells[2]!]) expect(cell.textContent?.trim()).toMatch(/^(\S+) → \1$/);
    };
    await said("N-S", "nothing_told", "0.12");
    await said("J-P", "out_of_range", "12.50");
    await said("F-T", "no_better", "1.10");
    expect(screen.queryByTestId("temperature-refused-E-I")).toBeNull();
    const sets = await at("sets");
    expect(sets.textContent).toContain(words.window.sets_title.replace("{coverage}", "90%"));
    expect(sets.textContent).toMatch(/91\.2%.*86\.0%.*96\.0%/s);
    expect(sets.textContent).toContain(words.window.sets_of_types);
  });

  it("promises no sets of answers with too few authors", async () => {
    await openReport(language, ({ run }) => {
      run.assessment!.sets = {
        coverage: 0.9,
        calibration_units: 6,
        judged_units: 5,
        least_units: 11,
        axes: {},
        types: null,
      };
    });
    const sets = await at("sets");
    expect(sets.querySelector("table")).toBeNull();
    expect(sets.textContent).toContain(fill(language, words.window.sets_too_few, { n: 6, least: 11 }));
    cleanup();
    await openReport(language, ({ run }) => {
      run.assessment!.by_author = null;
      run.assessment!.sets = { coverage: 0.9, calibration_units: 6, judged_units: 5, least_units: 11, axes: {}, types: null };
    });
    const ofTexts = fill(language, words.window.sets_no_authors_too_few, { n: 6, least: 11 });
    expect((await at("sets")).textContent).toContain(ofTexts);
    expect((await at("calibration")).textContent).toContain(words.window.calibration_no_authors_hint);
  });

  it("says what the run was computed on, and why not on the graphics card", async () => {
    const why_not_gpu: Unusable = { kind: "old_card", capability: "7.5" };
    await openReport(language, ({ run }) => {
      run.used_device = { device: "cpu", name: "A processor", gpu: "A card", why_not_gpu };
    });
    const detail = await at("run-detail");
    expect(detail.textContent).toContain(words.window.used_device);
    const reason = words.unusables.old_card.replace("{capability}", "7.5");
    const { used_device_instead: instead, used_device_number: numbered } = words.window;
    expect(detail.textContent).toContain(
      instead.replace("{name}", "A processor").replace("{gpu}", "A card").replace("{reason}", reason),
    );
    cleanup();
    await openReport(language, ({ run }) => {
      run.used_device = { device: "cpu", name: "A processor", gpu: null, why_not_gpu: { kind: "no_driver" } };
    });
    const perhaps = words.window.used_device_perhaps.replace("{name}", "A processor");
    expect((await at("run-detail")).textContent).toContain(perhaps.replace("{reason}", words.unusables.no_driver));
    cleanup();
    await openReport(language, ({ run }) => {
      run.used_device = { device: "cuda:1", name: "A card", gpu: null, why_not_gpu: null };
    });
    const text = numbered.replace("{name}", "A card").replace("{device}", "cuda:1");
    expect((await at("run-detail")).textContent).toContain(text);
  });
});

describe("the report", () => {
  it("says when the data set names no authors, and offers no judgement by author", async () => {
    await openReport("en", ({ run }) => (run.assessment!.by_author = null));
    expect(((await at("level-author")) as HTMLInputElement).disabled).toBe(true);
    expect((await at("report")).textContent).toContain(dictionaries.en.window.level_no_authors);
  });

  it("leaves the bag of words out where it is the model itself", async () => {
    await openReport("en", ({ run }) => (run.baseline = null));
    expect((await at("report")).textContent).not.toContain(dictionaries.en.window.column_words);
    expect((await row("E-I", "accuracy")).querySelectorAll("line.words")).toHaveLength(0);
  });

  it("says that a run ended early, and where nothing could be calibrated", async () => {
    await openReport("en", ({ run }) => {
      run.total_steps = 400;
      run.config.early_stopping_patience = 3;
      delete run.assessment!.calibration["N-S"];
    });
    expect((await at("run-detail")).textContent).toContain("3 evaluations in a row were no better");
    const uncalibrated = (await at("calibration")).querySelector('tr[data-axis="N-S"]');
    expect(uncalibrated?.textContent).toContain(dictionaries.en.window.no_value);
  });
});

describe("an unsure prediction", () => {
  it.each(languages)("is shown as one in %s", async (language) => {
    const words = dictionaries[language];
    const fake = await open("finished", "nav-predict", language);
    const told = { interval: null, unsure: false, refused: null, limited: false };
    let types = ["ENFP", "INFP", "ENTP"];
    fake.predict = async (run) => ({
      type: "ENFP",
      axes: {
        "E-I": { ...told, letter: "E", probability: 0.6, interval: [0.45, 0.75], unsure: true, refused: "nothing_told" },
        "N-S": { ...told, letter: "N", probability: 0.8, interval: [0.7, 0.9], limited: true },
        "F-T": { ...told, letter: "F", probability: 0.7 },
        "J-P": { ...told, letter: "P", probability: 0.8, interval: [0.6, 0.995] },
      },
      sets: {
        coverage: 0.9,
        calibration_units: 28,
        least_units: 11,
        axes: { "E-I": ["E", "I"], "N-S": ["N"] },
        types,
      },
      model: "words",
      run,
      milliseconds: 1,
      tokens: 2,
      truncated: false,
    });
    await type("predict-text", "words");
    const promised = (await at("predict-set")).textContent?.trim();
    expect(promised).toBe(
      language === "en"
        ? "Right 90% of the time (on average over authors): one of these 3 types: ENFP, INFP, or ENTP"
        : "以 90% 的把握（按作者平均），是以下 3 种类型之一：ENFP、INFP或ENTP",
    );
    expect(document.body.textContent).toContain(words.window.predict_set_hint);
    const letters = (await at("predict-type")).querySelectorAll("span");
    expect(letters[0]!.className).toContain("unsure");
    expect(letters[0]!.title).toBe(words.window.unsure_letter.replace("{letter}", "E"));
    expect(letters[1]!.className).not.toContain("unsure");
    const unsure = await at("predict-axis-E-I");
    expect(unsure.dataset["unsure"]).toBe("true");
    expect(unsure.textContent).toContain(words.window.unsure);
    expect(unsure.textContent).toContain(words.window.axis_nothing_told);
    expect((await at("predict-temperature-N-S")).textContent).toBe(words.window.axis_limited);
    expect(screen.queryByTestId("predict-temperature-J-P")).toBeNull();
    const interval = (id: string) =>
      screen.getByTestId(id).querySelector("rect.interval")?.getAttribute("x") ?? "none";
    // The left end of the bar is the first letter, the right end the second.
    expect(Number(interval("predict-axis-E-I"))).toBeCloseTo(25, 6);
    expect(Number(interval("predict-axis-J-P"))).toBeCloseTo(60, 6);
    expect(interval("predict-axis-F-T")).toBe("none");
    expect((await at("predict-axis-N-S")).textContent).toMatch(/70%.*90%/);
    const said = async (next: string[], key: "predict_set_all" | "predict_set_letters") => {
      types = next;
      await type("predict-text", `words ${next.length}`);
      const begin = words.window[key].replace("{coverage}", "90%").split("{answers}")[0]!;
      await waitFor(() => expect(screen.getByTestId("predict-set").textContent).toContain(begin));
    };
    await said(["EN--", "ES--", "IN--", "IS--"], "predict_set_all");
    await said([], "predict_set_letters");
  });
});
