import type { WorkProgress } from "./backend/types/WorkProgress";
import { formatBytes, formatDuration, formatNumber } from "./format";
import { language, t } from "./i18n";

/** How much of how much is done; a total of 0 is one that is not known yet. */
export function amountOf(progress: WorkProgress): { done: number; total: number } {
  if (progress.kind !== "transfer") return progress;
  return { done: progress.bytes_done, total: progress.bytes_total };
}

/** The same in words, part by part; nothing where nothing is known yet. */
export function progressParts(progress: WorkProgress): string[] {
  const count = (n: number) => formatNumber(language(), n);
  const size = (bytes: number) => formatBytes(language(), bytes);
  if (progress.kind === "texts") return [t("work_texts", { done: count(progress.done), total: count(progress.total) })];
  if (progress.kind === "bytes") {
    const { done, total, texts } = progress;
    return [t("work_bytes", { done: size(done), total: size(total), texts: count(texts) })];
  }
  const { bytes_done, bytes_total, seconds_left, waiting_seconds } = progress;
  const parts = bytes_total > 0 ? [t("moving", { done: size(bytes_done), total: size(bytes_total) })] : [];
  if (waiting_seconds !== null) parts.push(t("moving_waits", { seconds: Math.ceil(waiting_seconds) }));
  else if (seconds_left !== null) parts.push(t("moving_left", { time: formatDuration(language(), seconds_left) }));
  return parts;
}
