import { AXES } from "./axes";
import type { Axis } from "./backend/types/Axis";
import type { Problem } from "./backend/types/Problem";
import type { TokensPerPass } from "./backend/types/TokensPerPass";
import type { TrainConfig } from "./backend/types/TrainConfig";
import {
  ALL_NUMBERS,
  isAllowed,
  isTokensPerPass,
  LORA_NUMBERS,
  NUMBER_SETTINGS,
  parse,
  partsOf,
  type LoraNumber,
  type NumberSetting,
} from "./numbers";
import { isRepoName } from "./repo";
import {
  CHOICES,
  SWITCHES,
  type ChoiceSetting,
  type ClassWeightingChoice,
  type SwitchSetting,
  type TokensPerPassChoice,
} from "./settingGroups";

export type { ClassWeightingChoice } from "./settingGroups";

/** A config while it is being filled in: numbers are still the text that was typed. */
export interface Draft extends Pick<TrainConfig, ChoiceSetting | SwitchSetting> {
  data: string;
  /** Empty where a part is held out. */
  valid: string;
  model: string;
  axes: Record<Axis, boolean>;
  numbers: Record<NumberSetting, string>;
  /** What is sent for a number of LoRA's that was left wrong and is out of sight. */
  unseen: Pick<TrainConfig, LoraNumber>;
  device: string;
  /** Names parted by commas. */
  lora_target_modules: string;
  class_weights: ClassWeightingChoice;
  /** Two numbers parted by a comma, which count where `class_weights` is "given". */
  class_weights_given: string;
  tokens_per_pass: TokensPerPassChoice;
  /** A number, which counts where `tokens_per_pass` is "given". */
  tokens_per_pass_given: string;
  /** Empty where nothing is pushed. */
  push_to_hub: string;
}

const GREATEST_CLASS_WEIGHT = 1e6;
/** Both letters the same: where one begins who gives weights. */
const EQUAL_WEIGHTS = "1,1";
/** Where one begins who gives the tokens: enough to fill a graphics card. */
const SOME_TOKENS = "2048";
/** The settings that are the same in a draft and in a config. */
const SAME = [...(Object.keys(CHOICES) as ChoiceSetting[]), ...SWITCHES, "data", "model", "device"] as const;

export function draftOf(config: TrainConfig): Draft {
  const text = (value: number | null | undefined) => (value === null || value === undefined ? "" : String(value));
  return {
    ...picked(config),
    // A setting that is absent is one that is empty.
    valid: config.valid ?? "",
    axes: Object.fromEntries(AXES.map((axis) => [axis, config.axes.includes(axis)])) as Draft["axes"],
    numbers: Object.fromEntries(ALL_NUMBERS.map((name) => [name, text(config[name])])) as Draft["numbers"],
    unseen: { lora_rank: config.lora_rank, lora_alpha: config.lora_alpha, lora_dropout: config.lora_dropout },
    lora_target_modules: config.lora_target_modules.join(", "),
    push_to_hub: config.push_to_hub ?? "",
    ...weightingOf(config.class_weights),
    ...tokensPerPassOf(config.tokens_per_pass),
  };
}

/** The draft's fields for how many tokens go through the network at once. */
export function tokensPerPassOf(
  tokens: TokensPerPass | undefined,
): Pick<Draft, "tokens_per_pass" | "tokens_per_pass_given"> {
  if (typeof tokens === "number") return { tokens_per_pass: "given", tokens_per_pass_given: String(tokens) };
  // Absent is what nobody has said otherwise.
  return { tokens_per_pass: tokens ?? "auto", tokens_per_pass_given: SOME_TOKENS };
}

/** The draft's fields for a class weighting. */
export function weightingOf(weighting: string): Pick<Draft, "class_weights" | "class_weights_given"> {
  const named = weighting === "balanced" || weighting === "none";
  return { class_weights: named ? weighting : "given", class_weights_given: named ? EQUAL_WEIGHTS : weighting };
}

function picked(of: TrainConfig | Draft): Pick<TrainConfig, (typeof SAME)[number]> {
  return Object.fromEntries(SAME.map((name) => [name, of[name]])) as Pick<TrainConfig, (typeof SAME)[number]>;
}

/** The first setting that cannot be, or null. */
export function draftProblem(draft: Draft): Problem | null {
  const advanced = advancedProblem(draft);
  if (advanced) return advanced;
  if (!AXES.some((axis) => draft.axes[axis])) return badSetting("axes", "");
  return null;
}

/** The same among the advanced settings alone. What is out of sight is never wrong. */
export function advancedProblem(draft: Draft): Problem | null {
  const shown = draft.trainable === "lora" ? ALL_NUMBERS : NUMBER_SETTINGS;
  for (const name of shown) {
    if (!isAllowed(name, draft.numbers[name])) return badSetting(name, draft.numbers[name].trim());
  }
  if (draft.class_weights === "given" && classWeightsOf(draft.class_weights_given) === null) {
    return badSetting("class_weights", draft.class_weights_given.trim());
  }
  if (draft.tokens_per_pass === "given" && !isTokensPerPass(draft.tokens_per_pass_given)) {
    return badSetting("tokens_per_pass", draft.tokens_per_pass_given.trim());
  }
  const repo = draft.push_to_hub.trim();
  if (repo !== "" && !isRepoName(repo)) return badSetting("push_to_hub", repo);
  return null;
}

/** Two weights from a text such as "0.6,0.4", or null if it is none. */
export function classWeightsOf(text: string): [number, number] | null {
  const [first, second, ...more] = partsOf(text).map(parse);
  if (!isClassWeight(first) || !isClassWeight(second) || more.length > 0) return null;
  return [first, second];
}

function isClassWeight(value: number | null | undefined): value is number {
  return typeof value === "number" && value > 0 && value <= GREATEST_CLASS_WEIGHT;
}

/** The config that a draft without a problem stands for. */
export function configOf(draft: Draft): TrainConfig {
  const numbers = Object.fromEntries(ALL_NUMBERS.map((name) => [name, parse(draft.numbers[name])]));
  const wrong = LORA_NUMBERS.filter((name) => !isAllowed(name, draft.numbers[name]));
  return {
    ...picked(draft),
    // What is held in few bits cannot learn, so that it goes with LoRA alone, where it is in sight.
    quantization: draft.trainable === "lora" ? draft.quantization : "none",
    ...(numbers as Pick<TrainConfig, NumberSetting>),
    ...Object.fromEntries(wrong.map((name) => [name, draft.unseen[name]])),
    valid: draft.valid === "" ? null : draft.valid,
    // Where a data set validates there are no folds, whose field is out of use then.
    folds: draft.valid === "" ? parse(draft.numbers.folds) : null,
    fold: null,
    push_to_hub: draft.push_to_hub.trim() || null,
    axes: AXES.filter((axis) => draft.axes[axis]),
    lora_target_modules: partsOf(draft.lora_target_modules).filter((name) => name !== ""),
    class_weights:
      draft.class_weights === "given"
        ? (classWeightsOf(draft.class_weights_given) ?? []).join(",")
        : draft.class_weights,
    tokens_per_pass:
      draft.tokens_per_pass === "given" ? (parse(draft.tokens_per_pass_given) ?? "auto") : draft.tokens_per_pass,
  };
}

/** A preset's draft for the data and the model that were chosen, and for where the model is to go. */
export function presetDraft(preset: TrainConfig, draft: Draft): Draft {
  const { data, valid, model, push_to_hub, hub_private_repo } = draft;
  return { ...draftOf(preset), data, valid, model, push_to_hub, hub_private_repo };
}

/** Whether two drafts ask for the same run. */
export function sameRun(one: Draft, other: Draft): boolean {
  return JSON.stringify(sorted(configOf(one))) === JSON.stringify(sorted(configOf(other)));
}

function sorted(config: TrainConfig): [string, unknown][] {
  return Object.entries(config).sort(([left], [right]) => (left < right ? -1 : 1));
}

function badSetting(name: keyof TrainConfig, value: string): Problem {
  return { code: "bad_setting", params: { name, value }, message: `${name} cannot be "${value}".` };
}
