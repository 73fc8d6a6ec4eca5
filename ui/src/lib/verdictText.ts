import { lettersOf } from "./axes";
import type { Axis } from "./backend/types/Axis";
import type { AxisMetrics } from "./backend/types/AxisMetrics";
import { formatPercent } from "./format";
import { language, t } from "./i18n";
import type { AxisJudgement, Interval } from "./report";
import { reportVerdict } from "./reportVerdict";
import { verdict } from "./verdict";

// One more digit, so that two scores that differ are not written alike.
const percent = (value: number) => formatPercent(language(), value, 1);

/** The honest sentence for one axis, in the chosen language. */
export function verdictText(axis: Axis, metrics: AxisMetrics | undefined): string {
  const found = verdict(axis, metrics);
  const [first, second] = lettersOf(axis);
  switch (found.kind) {
    case "no_value":
      return t("verdict_no_value", { axis });
    case "one_letter":
      return t("verdict_one_letter", { axis, n: found.texts, letter: found.letter, first, second });
    case "no_better_even":
      return t("verdict_no_better_even", { axis, accuracy: percent(found.accuracy) });
    case "no_better":
      return t("verdict_no_better", { axis, letter: found.letter, ...scores(found) });
    case "balanced":
      return t("verdict_balanced", {
        axis,
        letter: found.letter,
        ...scores(found),
        balanced: percent(found.balanced),
        half: percent(0.5),
      });
    case "maybe_luck":
      return t("verdict_maybe_luck", { axis, letter: found.letter, ...scores(found), n: found.texts });
    case "better":
      return t("verdict_better", { axis, letter: found.letter, ...scores(found) });
  }

  function scores(of: { accuracy: number; majority: number }): { accuracy: string; majority: string } {
    return { accuracy: percent(of.accuracy), majority: percent(of.majority) };
  }
}

/** The same with the intervals of a report: against the commoner answer, and against the bag of words. */
export function reportTexts(judged: AxisJudgement): string[] {
  const { axis } = judged;
  const { line, apart, words } = reportVerdict(judged);
  if (line.kind === "no_value" || line.kind === "one_letter") return [verdictText(axis, judged.model?.metrics)];
  const { letter, accuracy, majority } = line;
  const scores = { axis, letter, accuracy: percent(accuracy), majority: percent(majority), interval: span(line.interval) };
  const texts = [t(`report_${line.kind}`, scores)];
  if (apart) {
    const { balanced, interval } = apart;
    texts.push(t("report_apart", { balanced: percent(balanced), interval: span(interval), half: percent(0.5) }));
  }
  if (words) {
    texts.push(t(`report_words_${words.kind}`, { model: percent(words.model), words: percent(words.words) }));
  }
  return texts;
}

function span([low, high]: Interval): string {
  return t("interval", { low: percent(low), high: percent(high) });
}
