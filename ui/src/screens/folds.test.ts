import { fireEvent, screen, waitFor, within } from "@testing-library/svelte";
import { describe, expect, it, vi } from "vitest";
import { dictionaries, languages } from "../lib/i18n";
import { fill } from "../lib/i18n/fill";
import { at, choose, open, startAnew, type } from "./testing";

startAnew();

describe.each(languages)("a cross-validation in %s", (language) => {
  const { window: words } = dictionaries[language];

  it("is begun by its folds, tells the one that goes on, and ends with one report", async () => {
    const fake = await open("data", "nav-train", language);
    const start = vi.spyOn(fake, "startTraining");
    await type("train-folds", "3");
    expect(((await at("train-validation_fraction")) as HTMLInputElement).disabled).toBe(true);
    await type("train-max-steps", "9");
    await fireEvent.click(await at("start-button"));
    await at("pause-button");
    expect(start).toHaveBeenCalledWith(expect.objectContaining({ folds: 3, fold: null, max_steps: 9 }));
    fake.tick(5);
    await waitFor(async () =>
      expect((await at("fold-now")).textContent).toBe(fill(language, words.fold_of, { fold: 2, folds: 3 })),
    );
    fake.tick(20);
    await fireEvent.click(await at("open-run-button"));
    const report = await at("cross-validation");
    expect(report.textContent).toContain(fill(language, words.folds_title, { n: 3 }));
    expect(within(report).getByTestId("folds-mean").textContent).toContain("%");
    expect(within(report).getByTestId("folds-E-I").querySelectorAll("tr[data-metric]")).toHaveLength(7);
    const alone = within(report).getByTestId("folds-alone");
    expect(alone.querySelectorAll("tbody tr[data-axis]")).toHaveLength(4);
    expect(alone.querySelectorAll("thead th")).toHaveLength(5);
    await fireEvent.click(await at("folds-level-author"));
    await waitFor(() => expect(report.dataset["level"]).toBe("author"));
    // It has no model of its own to try, and no curve.
    expect(screen.queryByTestId("try-button")).toBeNull();
    expect(screen.queryByTestId("loss-chart")).toBeNull();
  });

  it("stands in the list with its folds, and has none where a data set validates", async () => {
    const fake = await open("history", "nav-train", language);
    const start = vi.spyOn(fake, "startTraining");
    fake.tick(10_000);
    await type("train-folds", "3");
    await choose("train-valid", "kaggle");
    expect(((await at("train-folds")) as HTMLInputElement).disabled).toBe(true);
    await fireEvent.click(await at("start-button"));
    await waitFor(() => expect(start).toHaveBeenCalledWith(expect.objectContaining({ folds: null, valid: "kaggle" })));
  });
});

describe("the folds of a cross-validation", () => {
  it("are followed by the cross-validation that they belong to", async () => {
    const { activeRun } = await import("../lib/runs");
    const fake = await open("data", "nav-runs");
    const config = { ...(await fake.defaultConfig()), folds: 2 };
    const whole = await fake.startTraining(config);
    const fold = await fake.startTraining({ ...config, fold: 1 });
    const runs = await fake.listRuns();
    for (const run of runs) if (run.id === fold) run.fold_of = whole;
    expect(activeRun(runs)?.id).toBe(whole);
    expect(activeRun(runs.map((run) => ({ ...run, fold_of: null })))?.id).toBe(fold);
  });
});
