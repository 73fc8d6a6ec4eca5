import { fireEvent, render, screen } from "@testing-library/svelte";
import { afterEach, beforeEach, vi } from "vitest";
import App from "../App.svelte";
import type { Watch } from "../lib/backend";
import { createFake, type Fake, type StartingPoint } from "../lib/backend/fake";
import { setLanguage, type Language } from "../lib/i18n";
import { dismissProblem } from "../lib/problem.svelte";

// What all tests of the screens do: open one, type, choose.

/** Keeps expected errors out of the output, and leaves no problem and no language to the next test. */
export function startAnew(): void {
  beforeEach(() => {
    vi.spyOn(console, "error").mockImplementation(() => {});
  });
  afterEach(() => {
    dismissProblem();
    setLanguage("en");
  });
}

/** Watches work that nobody looks at and nobody stops. */
export const unwatched = (): Watch => ({ onProgress: () => {}, signal: new AbortController().signal });

export const at = (id: string) => screen.findByTestId(id);
export const values = (select: HTMLElement) => [...(select as HTMLSelectElement).options].map((option) => option.value);

export async function open(startingPoint: StartingPoint, nav: string, language: Language = "en"): Promise<Fake> {
  setLanguage(language);
  const fake = createFake({ startingPoint });
  render(App, { backend: fake });
  await fireEvent.click(await at(nav));
  return fake;
}

export async function type(id: string, value: string): Promise<void> {
  await fireEvent.input(await at(id), { target: { value } });
}

/** Chooses in the dialog that a button opens. */
export async function pick(fake: Fake, button: string, path: string): Promise<void> {
  fake.picks = [path];
  await fireEvent.click(await at(button));
}

export async function choose(id: string, value: string): Promise<void> {
  await fireEvent.change(await at(id), { target: { value } });
}
