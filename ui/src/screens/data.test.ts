import { fireEvent, screen, waitFor, within } from "@testing-library/svelte";
import { describe, expect, it, vi } from "vitest";
import { dictionaries, languages } from "../lib/i18n";
import { at, choose, open, pick, startAnew, type } from "./testing";

startAnew();

describe.each(languages)("in %s", (language) => {
  const words = dictionaries[language];

  it("a file is looked into and imported with the columns that were guessed or chosen", async () => {
    const fake = await open("empty", "nav-data", language);
    const importing = vi.spyOn(fake, "importDataSet");
    await pick(fake, "choose-file", "/tmp/a.csv");
    await fireEvent.click(await at("look-button"));
    const preview = await at("import-preview");
    expect(preview.textContent).toContain("UTF-8");
    expect((within(preview).getByTestId("map-text") as HTMLSelectElement).value).toBe("body");
    await choose("map-author", "");
    await fireEvent.click(await at("import-button"));
    await at("import-report");
    expect(importing.mock.calls[0]!.slice(0, 3)).toEqual([1, null, { text: "body", author: null, mbti: "mbti", axes: {} }]);
  });

  it("a file whose columns cannot be guessed waits until they are named", async () => {
    const fake = await open("empty", "nav-data", language);
    await pick(fake, "choose-data-folder", "/tmp/unmapped.csv");
    await fireEvent.click(await at("look-button"));
    expect((await at("import-preview")).textContent).toContain(words.window.columns_needed);
    expect((await at("import-button") as HTMLButtonElement).disabled).toBe(true);
    await choose("map-text", "note");
    await choose("map-type", "when");
    await waitFor(async () => expect((await at("import-button") as HTMLButtonElement).disabled).toBe(false));
  });

  it("the leak meter tells one figure, what it is made of, and what to do", async () => {
    await open("data", "nav-data", language);
    await choose("leaks-by", "text");
    await fireEvent.click(await at("leaks-button"));
    expect((await at("leaks-share")).textContent).toMatch(/%/);
    expect((await at("leak-meter")).textContent).toContain(words.window.advice_authors);
  });

  it("cleaning makes a new data set and shows what each step did", async () => {
    const fake = await open("data", "nav-data", language);
    const cleaning = vi.spyOn(fake, "cleanDataSet");
    await fireEvent.click(await at("clean-urls"));
    await fireEvent.click(await at("clean-button"));
    const counts = await at("cleaning-counts");
    expect(counts.textContent).toContain(words.cleaning_steps.type_words);
    expect(counts.textContent).not.toContain(words.cleaning_steps.urls);
    expect(cleaning.mock.calls[0]?.[2]).toMatchObject({ urls: "keep", type_words: "mask", near_duplicates: "all" });
    await waitFor(() => expect(screen.getAllByTestId("data-set-row")).toHaveLength(2));
  });

  it("parting makes the parts that are wanted, and a share that leaves nothing is not allowed", async () => {
    await open("data", "nav-data", language);
    await type("split-test", "85");
    expect((await at("split-button") as HTMLButtonElement).disabled).toBe(true);
    await type("split-test", "10");
    await fireEvent.click(await at("split-button"));
    await waitFor(() => expect(screen.getAllByTestId("data-set-row")).toHaveLength(4));
  });

  it("an import tells how far it is, and stopped it leaves nothing and is no problem", async () => {
    const fake = await open("empty", "nav-data", language);
    fake.workPause = 20;
    await pick(fake, "choose-file", "/tmp/large.csv");
    await fireEvent.click(await at("import-button"));
    await waitFor(async () => expect((await at("work-told")).textContent).toMatch(/16.*40/));
    const bar = screen.getByRole("progressbar");
    expect(bar.getAttribute("value")).not.toBeNull();
    expect(bar.getAttribute("aria-valuetext")).toBe(screen.getByTestId("work-told").textContent);
    const stop = (await at("work-stop")) as HTMLButtonElement;
    await fireEvent.click(stop);
    expect(stop.disabled).toBe(true);
    expect(document.body.textContent).toContain(words.window.stopping);
    await waitFor(() => expect(document.body.textContent).toContain(words.problems.stopped));
    expect(screen.queryByTestId("problem")).toBeNull();
    expect(screen.queryByTestId("work")).toBeNull();
    expect(screen.queryByTestId("data-set-row")).toBeNull();
    expect((await at("import-path")).textContent?.trim()).toBe("/tmp/large.csv");
  });

  it("work that goes on is found again after another screen, and what it made is shown", async () => {
    const fake = await open("data", "nav-data", language);
    fake.workPause = 20;
    await fireEvent.click(await at("clean-button"));
    await fireEvent.click(await at("nav-runs"));
    await fireEvent.click(await at("nav-data"));
    await at("work-stop");
    expect(((await at("split-button")) as HTMLButtonElement).disabled).toBe(true);
    await at("cleaning-counts");
    await waitFor(() => expect(screen.getAllByTestId("data-set-row")).toHaveLength(2));
    await waitFor(async () => expect((await at("data-set-detail")).dataset["name"]).toBe("made-up-clean"));
  });

  it("a cleaning and a measurement are stopped each by its own button", async () => {
    const fake = await open("data", "nav-data", language);
    fake.workPause = 20;
    await fireEvent.click(await at("leaks-button"));
    await fireEvent.click(await at("clean-button"));
    const meter = within(await at("leak-meter"));
    await fireEvent.click(await meter.findByTestId("work-stop"));
    await waitFor(() => expect(meter.getByTestId("work-status").textContent).toBe(words.problems.stopped));
    expect(screen.queryByTestId("leaks-share")).toBeNull();
    await at("cleaning-counts");
  });

  it("the bag of words is let learn from type words alone", async () => {
    const fake = await open("data", "nav-data", language);
    const alone = vi.spyOn(fake, "typeWordsAlone");
    await choose("leaks-by", "text");
    await fireEvent.click(await at("leaks-button"));
    await fireEvent.click(await at("leaks-alone-button"));
    const told = await at("leaks-alone");
    expect(told.textContent).toContain("61.2%");
    expect(told.textContent).toContain("J/P");
    expect(alone.mock.calls[0]!.slice(0, 2)).toEqual(["made-up", "text"]);
    expect(screen.queryByTestId("leaks-alone-button")).toBeNull();
  });

  it("a sample of a share makes a new data set by its seed", async () => {
    const fake = await open("data", "nav-data", language);
    const sampling = vi.spyOn(fake, "sampleDataSet");
    const button = (await at("sample-part-button")) as HTMLButtonElement;
    for (const wrong of ["0", "100", ""]) {
      await type("sample-percent", wrong);
      expect(button.disabled).toBe(true);
    }
    await type("sample-percent", "12.5");
    await type("sample-seed", "7");
    await type("sample-name", "few");
    await fireEvent.click(button);
    await waitFor(() => expect(screen.getAllByTestId("data-set-row")).toHaveLength(2));
    expect(sampling).toHaveBeenCalledWith("made-up", "few", 0.125, 7);
    await waitFor(async () => expect((await at("data-set-detail")).dataset["name"]).toBe("few"));
  });

  it("a data set that was made of another says of which", async () => {
    const fake = await open("empty", "nav-data", language);
    await pick(fake, "choose-file", "/tmp/mine.csv");
    await fireEvent.click(await at("import-button"));
    await at("import-report");
    await type("sample-percent", "50");
    await type("sample-name", "few");
    await fireEvent.click(await at("sample-part-button"));
    await waitFor(async () => expect((await at("data-set-detail")).dataset["name"]).toBe("few"));
    const said = words.window.data_made.split("{date}")[0]!.replace("{path}", "mine");
    expect((await at("data-set-detail")).textContent).toContain(said);
  });

  it("parting into folds makes a pair for each", async () => {
    const fake = await open("data", "nav-data", language);
    const parting = vi.spyOn(fake, "splitDataSet");
    await choose("split-into", "folds");
    await type("split-folds", "1");
    expect(((await at("split-button")) as HTMLButtonElement).disabled).toBe(true);
    await type("split-folds", "3");
    await fireEvent.click(await at("split-button"));
    await waitFor(() => expect(screen.getAllByTestId("data-set-row")).toHaveLength(7));
    expect(parting).toHaveBeenCalledWith("made-up", "author", 0.2, 0, 3);
  });

  it("an export is written in the format of its name, and a file that is there is refused", async () => {
    const fake = await open("data", "nav-data", language);
    const exporting = vi.spyOn(fake, "exportDataSet");
    const picking = vi.spyOn(fake, "pickNewFile");
    await fireEvent.click(await at("export-safe"));
    await fireEvent.click(await at("export-button"));
    await waitFor(async () => expect((await at("exported")).textContent).toContain("/home/you/made-up.csv"));
    expect(exporting.mock.calls[0]!.slice(0, 4)).toEqual(["made-up", 1, "csv", true]);
    await choose("export-format", "jsonl");
    await pick(fake, "export-button", "/home/you/taken.parquet");
    expect((await at("problem")).dataset["code"]).toBe("file_exists");
    expect(picking).toHaveBeenLastCalledWith("made-up.jsonl");
    expect(((await at("export-format")) as HTMLSelectElement).value).toBe("parquet");
    expect(screen.queryByTestId("export-safe")).toBeNull();
    expect(exporting.mock.calls[1]!.slice(1, 4)).toEqual([2, "parquet", false]);
    expect((await at("exported")).textContent).toBe("");
    fake.picks = [null];
    await fireEvent.click(await at("export-button"));
    await waitFor(() => expect(picking).toHaveBeenCalledTimes(3));
    expect(exporting).toHaveBeenCalledTimes(2);
  });

  it("a path can be typed nowhere", async () => {
    const fake = await open("history", "nav-data", language);
    for (const nav of ["nav-data", "nav-train", "nav-hub"]) {
      await fireEvent.click(await at(nav));
      const typed = [...document.querySelectorAll("input, textarea")].map((field) => field.id + field.getAttribute("data-testid"));
      expect(typed.join(" "), nav).not.toMatch(/path|file|folder/);
    }
    // And a handle that no dialog has given opens nothing.
    await expect(fake.previewImport(99)).rejects.toMatchObject({ code: "not_chosen" });
  });

  it("lengths and texts of authors are drawn, and read out", async () => {
    await open("data", "nav-data", language);
    const chart = await at("lengths-chart");
    // The empty place before the shortest text is left out.
    expect(chart.querySelectorAll("rect.bar")).toHaveLength(9);
    expect(chart.getAttribute("aria-label")).toContain("700");
    expect(screen.getByRole("img", { name: new RegExp(words.window.texts_an_author_title) })).toBeTruthy();
  });

  it("languages and telling words of the texts are shown", async () => {
    await open("data", "nav-data", language);
    const look = await at("look");
    expect(look.textContent).toContain(language === "en" ? "English" : "英语");
    expect(look.textContent).toContain("party");
  });
});
