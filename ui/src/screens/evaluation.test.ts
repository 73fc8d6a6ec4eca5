import { fireEvent, screen, waitFor, within } from "@testing-library/svelte";
import { describe, expect, it, vi } from "vitest";
import { problem } from "../lib/backend/fake-data";
import type { Fake } from "../lib/backend/fake";
import { dictionaries, languages, type Language } from "../lib/i18n";
import { fill } from "../lib/i18n/fill";
import { at, choose, open, startAnew, unwatched, values } from "./testing";

startAnew();

/** The history, with a run opened by its place in the list. */
async function openRun(place: number, language: Language = "en"): Promise<Fake> {
  const fake = await open("history", "nav-runs", language);
  await fireEvent.click((await screen.findAllByTestId("runs-row"))[place]!);
  await at("evaluate-panel");
  return fake;
}

async function evaluate(data: string): Promise<void> {
  await choose("evaluate-data", data);
  await fireEvent.click(await at("evaluate-button"));
}

describe.each(languages)("evaluating a run in %s", (language) => {
  const words = dictionaries[language].window;

  it("shows what was found on another data set by text and by author, beside the bag of words", async () => {
    await openRun(3, language);
    expect(values(await at("evaluate-data"))).toEqual(["made-up", "kaggle", "posts"]);
    await evaluate("posts");
    const report = await at("evaluation-report");
    expect(report.dataset["data"]).toBe("posts");
    expect(report.textContent).toContain(words.evaluation_clean);
    expect((await at("evaluation-mean")).textContent).toContain("%");
    expect((await at("evaluation-beside-words")).textContent).not.toBe("");
    expect(within(report).getByTestId("evaluation-E-I").querySelectorAll("tr[data-metric]")).toHaveLength(7);
    await fireEvent.click(await at("evaluation-level-author"));
    await waitFor(() => expect(report.dataset["level"]).toBe("author"));
  });

  it("names the texts that the run learned from, and leaves them out unless they are wanted", async () => {
    await openRun(3, language);
    await evaluate("kaggle");
    const report = await at("evaluation-report");
    const n = Number(/\d[\d,]*/.exec(report.textContent ?? "")?.[0].replace(",", ""));
    expect(report.textContent).toContain(fill(language, words.evaluation_training, { n }));
    const before = (await at("evaluation-mean")).textContent;
    expect(((await at("evaluation-unseen")) as HTMLInputElement).checked).toBe(true);
    await fireEvent.click(await at("evaluation-all"));
    await waitFor(async () => expect((await at("evaluation-mean")).textContent).not.toBe(before));
  });

  it("tells whether one of two runs is better", async () => {
    const fake = await open("history", "nav-runs", language);
    for (const run of [3, 1]) await fake.evaluateRun(run, "posts", unwatched());
    await fireEvent.click((await screen.findAllByTestId("runs-row"))[0]!);
    await fireEvent.click(await at("all-runs"));
    const table = await at("evaluations-table");
    expect(table.querySelectorAll("tbody tr[data-run]")).toHaveLength(2);
    expect(values(await at("compare-data"))).toEqual(["posts"]);
    await fireEvent.click(await at("compare-button"));
    const compared = await at("compared");
    expect(compared.querySelectorAll("tr[data-axis]")).toHaveLength(2);
    expect(compared.querySelector("strong")?.textContent).not.toBe("");
    // What is chosen anew was not compared yet.
    await choose("compare-first", "1");
    expect(screen.queryByTestId("compared")).toBeNull();
  });
});

describe("evaluating a run", () => {
  it("can be stopped, and keeps nothing then", async () => {
    const fake = await openRun(3);
    fake.workPause = 5;
    await evaluate("posts");
    await fireEvent.click(await at("evaluating-stop"));
    expect((await screen.findAllByText(dictionaries.en.window.evaluating_stopped)).length).toBe(1);
    expect(await fake.listEvaluations()).toEqual([]);
  });

  it("keeps what was found, so that it is there when the run is opened again", async () => {
    await openRun(3);
    await evaluate("posts");
    await at("evaluation-report");
    await evaluate("made-up");
    await waitFor(async () => expect((await at("evaluation-report")).dataset["data"]).toBe("made-up"));
    await fireEvent.click(await at("all-runs"));
    await fireEvent.click((await screen.findAllByTestId("runs-row"))[3]!);
    expect(values(await at("evaluation-shown"))).toEqual(["made-up", "posts"]);
    await choose("evaluation-shown", "posts");
    await waitFor(async () => expect((await at("evaluation-report")).dataset["data"]).toBe("posts"));
  });

  it("tells what is wrong in a sentence", async () => {
    const fake = await openRun(3);
    vi.spyOn(fake, "evaluateRun").mockRejectedValue(problem("run_is_active", { run: "3" }));
    await evaluate("posts");
    await screen.findByText(/Run 3 is not over/);
    expect(screen.queryByTestId("evaluation-report")).toBeNull();
  });

  it("is not offered for a run that has no model", async () => {
    await open("history", "nav-runs");
    await fireEvent.click((await screen.findAllByTestId("runs-row"))[0]!);
    await at("run-detail");
    expect(screen.queryByTestId("evaluate-panel")).toBeNull();
  });
});
