import { store, stored } from "../stored";

export const languages = ["en", "zh"] as const;
export type Language = (typeof languages)[number];

/** The names by which speakers know their language, and hence in no dictionary. */
export const languageNames: Record<Language, string> = { en: "English", zh: "简体中文" };

const KEY = "language";

const state = $state<{ language: Language }>({ language: firstLanguage() });
applyLanguage();

function firstLanguage(): Language {
  const kept = stored(KEY);
  if (kept === "en" || kept === "zh") return kept;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export function language(): Language {
  return state.language;
}

export function setLanguage(language: Language): void {
  state.language = language;
  store(KEY, language);
  applyLanguage();
}

// Screen readers and the choice of fonts go by `<html lang>`.
function applyLanguage(): void {
  document.documentElement.lang = state.language === "zh" ? "zh-CN" : "en";
}
