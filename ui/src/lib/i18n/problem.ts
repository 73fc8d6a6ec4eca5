import type { Problem } from "../backend/types/Problem";
import type { Dictionary } from "./en";

/**
 * A problem's params as the user's language has them. Rust sends names of settings, statuses
 * and the like in English; those that are from a known list are looked up, and all else, such
 * as a path or what the operating system says, stays as it is.
 */
export function localizedParams(problem: Problem, dictionary: Dictionary): Record<string, string> {
  const params: Record<string, string> = { ...problem.params };
  const name = params["name"];
  if (problem.code === "bad_setting" && name !== undefined) {
    params["name"] = lookUp(dictionary.settings, name) ?? name;
    params["allowed"] = lookUp(dictionary.allowed, name) ?? params["allowed"] ?? "—";
  }
  if (problem.code === "unknown_columns") params["expected"] = dictionary.expected_columns.all;
  if (problem.code === "no_usable_row") replace(params, "reason", dictionary.skip_reasons);
  if (problem.code === "bad_weights") replace(params, "reason", dictionary.weight_formats);
  if (problem.code === "too_few_texts") replace(params, "part", dictionary.parts);
  replace(params, "status", dictionary.statuses);
  if (params["known"] === "") params["known"] = dictionary.window.none;
  return params;
}

function replace(params: Record<string, string>, name: string, section: Readonly<Record<string, string>>): void {
  const value = params[name];
  const found = value === undefined ? undefined : lookUp(section, value);
  if (found !== undefined) params[name] = found;
}

function lookUp(section: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(section, key) ? section[key] : undefined;
}
