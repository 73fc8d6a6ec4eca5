import type { Problem } from "../backend/types/Problem";
import { settingsFrom } from "../fit";
import { CHOICE_WORDS, isChoice } from "../settingGroups";
import { deviceNameText } from "./device";
import type { Dictionary } from "./en";
import { fill } from "./fill";
import { memoryText } from "./memory";
import { unusableText } from "./unusable";

/**
 * A problem's params as the user's language has them. Rust sends names of settings, statuses
 * and the like in English; those that are from a known list are looked up, and all else, such
 * as a path or what the operating system says, stays as it is.
 */
export function localizedParams(problem: Problem, dictionary: Dictionary, locale: string): Record<string, string> {
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
  if (problem.code === "loss_not_finite") params["checkpoint"] = checkpointText(params["checkpoint"], dictionary);
  if (problem.code === "cannot_fit" || problem.code === "out_of_memory") {
    if (problem.code === "cannot_fit") for (const name of ["needed", "available"]) params[name] = memoryText(params[name]);
    params["memory_of"] = params["card"] || dictionary.window.this_computer;
    params["moment"] = checkpointText(params["step"], dictionary, dictionary.window.no_step);
    params["settings"] = settingsText(params["settings"] ?? "", dictionary);
  }
  if (problem.code === "device_changed") {
    for (const name of ["from", "to"]) params[name] = deviceNameText(locale, dictionary, params[name] ?? "");
  }
  if (problem.code === "device_unusable") params["reason"] = unusableText(dictionary, problem.params);
  if (problem.code === "device_lost") {
    const { window } = dictionary;
    const estimates = params["during"] === "estimate";
    params["when"] = estimates ? window.lost_in_estimate : window.lost_in_run;
    params["remedy"] = estimates ? window.lost_estimate_again : lostRemedy(params["checkpoint"], dictionary);
  }
  if (problem.code === "wrong_token") replace(params, "source", dictionary.token_places);
  if (problem.code === "nothing_usable") replace(params, "needed", dictionary.hub_needs);
  if (problem.code === "bad_hub_setting") replace(params, "name", dictionary.hub_settings);
  const rate = params["learning_rate"];
  // Older versions wrote 1 as 1e0.
  if (rate !== undefined && Number(rate) >= 1e-3) params["learning_rate"] = String(Number(rate));
  replace(params, "status", dictionary.statuses);
  if (params["known"] === "") params["known"] = dictionary.window.none;
  return params;
}

/** Settings with their values, such as "Optimizer: AdamW, in 8 bits; LoRA rank: 4". */
export function settingsText(settings: string, dictionary: Dictionary): string {
  const named = settingsFrom(settings).map(([name, value]) => settingText(name, value, dictionary));
  return named.join(dictionary.window.setting_separator) || dictionary.window.fits_nothing;
}

export function settingText(name: string, value: string, dictionary: Dictionary): string {
  const { yes, no } = dictionary.window;
  const choice = isChoice(name) ? lookUp(dictionary[CHOICE_WORDS[name]], value) : undefined;
  const text = choice ?? (value === "true" ? yes : value === "false" ? no : value);
  return fill("en", dictionary.window.setting_value, { name: lookUp(dictionary.settings, name) ?? name, value: text });
}

/** "step 40", or "none" for 0. What an older program wrote has no checkpoint. */
function checkpointText(step: string | undefined, dictionary: Dictionary, none = dictionary.window.none): string {
  if (step === undefined || step === "0") return none;
  return fill("en", dictionary.window.at_step, { step });
}

/** What to do with a run whose device failed: 0 is a run without a checkpoint. */
function lostRemedy(checkpoint: string | undefined, { window }: Dictionary): string {
  return checkpoint === "0" ? window.lost_start_again : window.lost_resume;
}

function replace(params: Record<string, string>, name: string, section: Readonly<Record<string, string>>): void {
  const value = params[name];
  const found = value === undefined ? undefined : lookUp(section, value);
  if (found !== undefined) params[name] = found;
}

function lookUp(section: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(section, key) ? section[key] : undefined;
}
