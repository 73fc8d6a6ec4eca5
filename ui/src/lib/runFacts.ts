import type { Run } from "./backend/types/Run";
import type { UsedDevice } from "./backend/types/UsedDevice";
import { formatDate, formatDuration, formatMemory, formatNumber } from "./format";
import { deviceCalled, language, t, unusableReason } from "./i18n";
import { endedEarly } from "./report";
import { isActive, secondsOf } from "./runs";

/** What is known of a run's course, as pairs of a name and a value. */
export function runFacts(run: Run, now: number): [name: string, value: string][] {
  const locale = language();
  const steps = run.last_step?.step;
  const known: [string, string][] = [
    [t("column_when"), formatDate(locale, run.created_at)],
    [t("training_time"), formatDuration(locale, secondsOf(run, now))],
  ];
  if (steps !== undefined) {
    const total = run.total_steps;
    known.push([t("steps"), total === null ? formatNumber(locale, steps) : t("step_of", { step: steps, total })]);
  }
  if (run.best_step !== null) known.push([t("kept_weights"), t("kept_best", { step: run.best_step })]);
  else if (run.assessment && !isActive(run.status)) known.push([t("kept_weights"), t("kept_last")]);
  if (endedEarly(run)) {
    known.push([t("stopped_early"), t("stopped_early_why", { n: run.config.early_stopping_patience })]);
  }
  if (run.used_device !== null) known.push([t("used_device"), deviceText(run.used_device)]);
  if (run.tokens_per_second !== null) {
    known.push([t("speed"), t("tokens_per_second", { n: Math.round(run.tokens_per_second) })]);
  }
  if (run.peak_rss_mib !== null) known.push([t("memory"), memoryText(run)]);
  if (run.optimizer_mib !== null) known.push([t("memory_optimizer"), formatMemory(locale, run.optimizer_mib)]);
  if (run.model_folder !== null) known.push([t("model_folder"), run.model_folder]);
  return known;
}

/** What a run computed on, and why not on the graphics card that was found or that there may be. */
export function deviceText({ device, name: named, gpu, why_not_gpu }: UsedDevice): string {
  const name = deviceCalled(named);
  if (why_not_gpu !== null) {
    const reason = unusableReason(why_not_gpu);
    return gpu === null ? t("used_device_perhaps", { name, reason }) : t("used_device_instead", { name, gpu, reason });
  }
  return device === "cpu" ? name : t("used_device_number", { name, device });
}

function memoryText(run: Run): string {
  const used = formatMemory(language(), run.peak_rss_mib);
  if (!run.estimate) return used;
  return t("memory_expected", { used, expected: formatMemory(language(), run.estimate.peak_mib) });
}
