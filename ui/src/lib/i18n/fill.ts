/** The names between braces in a message. */
export type Names<Message extends string> = Message extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Names<Rest>
  : never;

export type Params = Readonly<Record<string, string | number>>;

export function placeholders(message: string): string[] {
  return [...new Set([...message.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!))].sort();
}

/**
 * Fills in the params. Of "one|other" the first form is taken where `n` is one; which languages
 * tell one from many is left to Intl. A param that is absent shows as a dash, never as a brace.
 */
export function fill(locale: string, message: string, params: Params): string {
  return pluralForm(locale, message, params["n"]).replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name];
    if (value === undefined) return "—";
    return typeof value === "number" ? new Intl.NumberFormat(locale).format(value) : value;
  });
}

function pluralForm(locale: string, message: string, n: string | number | undefined): string {
  const bar = message.indexOf("|");
  // "|||" is the separator of a file format and parts no forms.
  if (bar < 0 || message.includes("|||")) return message;
  const one = typeof n === "number" && new Intl.PluralRules(locale).select(n) === "one";
  return one ? message.slice(0, bar) : message.slice(bar + 1);
}
