import { store, stored } from "./stored";

export const themes = ["system", "light", "dark"] as const;
export type Theme = (typeof themes)[number];

const KEY = "theme";
const darkSystem = window.matchMedia?.("(prefers-color-scheme: dark)");

const state = $state<{ theme: Theme; systemIsDark: boolean }>({
  theme: themes.find((theme) => theme === stored(KEY)) ?? "system",
  systemIsDark: darkSystem?.matches ?? false,
});

darkSystem?.addEventListener?.("change", (event) => {
  state.systemIsDark = event.matches;
  applyAppearance();
});
applyAppearance();

// Written at once and not by an effect: the charts read their colours from it as they are drawn.
function applyAppearance(): void {
  document.documentElement.dataset["theme"] = appearance();
}

export function theme(): Theme {
  return state.theme;
}

export function setTheme(theme: Theme): void {
  state.theme = theme;
  store(KEY, theme);
  applyAppearance();
}

/** What the choice comes down to at this moment. */
export function appearance(): "light" | "dark" {
  if (state.theme !== "system") return state.theme;
  return state.systemIsDark ? "dark" : "light";
}
