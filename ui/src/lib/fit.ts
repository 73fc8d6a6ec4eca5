import { tokensPerPassOf, weightingOf, type Draft } from "./draft";
import { isNumberSetting, isTokensPerPass } from "./numbers";
import { CHOICES, isChoice, isSwitch } from "./settingGroups";

/**
 * Settings from a text such as "trainable=lora,gradient_checkpointing=all". A value may have
 * commas of its own: what follows a comma without a sign of equality belongs to the one before.
 */
export function settingsFrom(text: string): [name: string, value: string][] {
  const found: [string, string][] = [];
  for (const part of text.split(",").map((part) => part.trim())) {
    const place = part.indexOf("=");
    if (place > 0) found.push([part.slice(0, place).trim(), part.slice(place + 1).trim()]);
    else if (part !== "" && found.length > 0) found.at(-1)![1] += `,${part}`;
  }
  return found;
}

/** Puts settings into a draft by their names; one that is not known here changes nothing. */
export function applySettings(draft: Draft, settings: readonly [name: string, value: string][]): void {
  for (const [name, value] of settings) {
    if (isNumberSetting(name)) draft.numbers[name] = value === "null" ? "" : value;
    else if (isSwitch(name)) draft[name] = value === "true";
    else if (isChoice(name)) {
      if ((CHOICES[name] as readonly string[]).includes(value)) Object.assign(draft, { [name]: value });
    } else if (name === "device") draft.device = value;
    else if (name === "lora_target_modules") draft.lora_target_modules = value;
    else if (name === "push_to_hub") draft.push_to_hub = value === "null" ? "" : value;
    else if (name === "class_weights") Object.assign(draft, weightingOf(value));
    else if (name === "tokens_per_pass") {
      if (value === "auto" || value === "none") Object.assign(draft, tokensPerPassOf(value));
      else if (isTokensPerPass(value)) Object.assign(draft, tokensPerPassOf(Number(value)));
    }
  }
}
