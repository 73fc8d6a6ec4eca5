import type { Axis } from "../backend/types/Axis";
import type { Letter } from "../backend/types/Letter";
import type { Problem } from "../backend/types/Problem";
import type { RunStatus } from "../backend/types/RunStatus";
import type { SkipReason } from "../backend/types/SkipReason";
import type { Unusable } from "../backend/types/Unusable";
import { deviceNameText } from "./device";
import { en, type Dictionary } from "./en";
import { fill, type Names, type Params } from "./fill";
import { language, type Language } from "./language.svelte";
import { localizedParams } from "./problem";
import { unusableText } from "./unusable";
import { zh } from "./zh";

export { language, languageNames, languages, setLanguage, type Language } from "./language.svelte";

export const dictionaries: Record<Language, Dictionary> = { en, zh };

type Messages = (typeof en)["window"];
export type MessageKey = keyof Messages;
type Arguments<Key extends MessageKey> = [Names<Messages[Key]>] extends [never]
  ? []
  : [params: Readonly<Record<Names<Messages[Key]>, string | number>>];

/** The words for `key` in the chosen language. Numbers are written as the language writes them. */
export function t<Key extends MessageKey>(key: Key, ...params: Arguments<Key>): string {
  return fill(language(), words().window[key], (params[0] ?? {}) as Params);
}

export function words(): Dictionary {
  return dictionaries[language()];
}

export const axisName = (axis: Axis): string => words().axes[axis];
export const letterName = (letter: Letter): string => words().letters[letter];
export const statusName = (status: RunStatus): string => words().statuses[status];
export const skipReasonName = (reason: SkipReason): string => words().skip_reasons[reason];

/** What a device is called, from the name that the engine has given it. */
export const deviceCalled = (name: string): string => deviceNameText(language(), words(), name);

/** Why a GPU cannot be used, as the end of a sentence in the chosen language. */
export const unusableReason = (reason: Unusable): string => unusableText(words(), reason);

/** The sentence for a problem. A code that this window does not know yet reads as "internal". */
export function problemText(problem: Problem): string {
  const dictionary = words();
  const sentence = dictionary.problems[problem.code] ?? dictionary.problems.internal;
  return fill(language(), sentence, localizedParams(problem, dictionary, language()));
}
