import { fireEvent, screen, waitFor, within } from "@testing-library/svelte";
import { describe, expect, it, vi } from "vitest";
import { dictionaries, languages } from "../lib/i18n";
import { at, choose, open, startAnew, type } from "./testing";

startAnew();

describe.each(languages)("in %s", (language) => {
  const words = dictionaries[language];

  it("a file is looked into and imported with the columns that were guessed or chosen", async () => {
    const fake = await open("empty", "nav-data", language);
    const importing = vi.spyOn(fake, "importDataSet");
    await type("import-path", "/tmp/a.csv");
    await fireEvent.click(await at("look-button"));
    const preview = await at("import-preview");
    expect(preview.textContent).toContain("UTF-8");
    expect((within(preview).getByTestId("map-text") as HTMLSelectElement).value).toBe("body");
    await choose("map-author", "");
    await fireEvent.click(await at("import-button"));
    await at("import-report");
    expect(importing.mock.calls[0]).toEqual(["/tmp/a.csv", null, { text: "body", author: null, mbti: "mbti", axes: {} }]);
  });

  it("a file whose columns cannot be guessed waits until they are named", async () => {
    await open("empty", "nav-data", language);
    await type("import-path", "/tmp/unmapped.csv");
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

  it("languages and telling words of the texts are shown", async () => {
    await open("data", "nav-data", language);
    const look = await at("look");
    expect(look.textContent).toContain(language === "en" ? "English" : "英语");
    expect(look.textContent).toContain("party");
  });
});
