// Imported before everything else, for its effect.
//
// On a system whose locale is "C" or "POSIX" the web view gives that as `navigator.language`,
// which Intl refuses as no language tag. uPlot hands it to Intl as soon as it is loaded, and the
// window would stay empty.

/** The language if Intl knows such tags, else English. */
export function usableLanguage(language: string): string {
  try {
    return Intl.getCanonicalLocales(language)[0] ?? "en-US";
  } catch {
    return "en-US";
  }
}

const usable = usableLanguage(navigator.language);
if (usable !== navigator.language) {
  Object.defineProperty(navigator, "language", { value: usable, configurable: true });
}
