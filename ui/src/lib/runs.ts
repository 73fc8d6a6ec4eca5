import type { Problem } from "./backend/types/Problem";
import type { Run } from "./backend/types/Run";
import type { RunStatus } from "./backend/types/RunStatus";
import { problemText } from "./i18n";

/** Whether an engine works on the run or is about to. */
export function isActive(status: RunStatus): boolean {
  return status === "queued" || status === "running";
}

/** The newest of the runs that go on, or the cross-validation that it is a fold of; `runs` has the newest first. */
export function activeRun(runs: readonly Run[]): Run | undefined {
  const active = runs.filter((run) => isActive(run.status));
  return active.find((run) => run.id === active[0]?.fold_of) ?? active[0];
}

/** Whether a run is a whole cross-validation, whose folds are runs of their own. */
export function isCrossValidation({ config }: Run): boolean {
  return Boolean(config.folds) && !config.fold;
}

/** Whether a run was computed on a graphics card, or its settings ask for one, which it may have lost. */
export function wantsGpu({ used_device, config }: Run): boolean {
  return [used_device?.device, config.device].some((device) => device?.startsWith("cuda"));
}

/** The notices by which a run went nowhere, in one text; empty where there are none. */
export function collapseText(collapse: readonly Problem[]): string {
  return collapse.map(problemText).join(" ");
}

export function canPredict(run: Run): boolean {
  return run.model_folder !== null;
}

/** Whether there is a model that is not going to change any more. */
export function canEvaluate(run: Run): boolean {
  return canPredict(run) && !isActive(run.status);
}

/** Whether there is a model that the Hub can have: the bag of words is this program's own. */
export function canPush(run: Run): boolean {
  return canPredict(run) && (run.status === "finished" || run.status === "stopped") && run.config.model !== "words";
}

/** Seconds from the first step on, while a run goes on or when nobody wrote the length down. */
export function secondsOf(run: Run, now: number): number | null {
  if (run.train_seconds !== null) return run.train_seconds;
  if (run.started_at === null) return null;
  const end = run.finished_at === null ? (isActive(run.status) ? now : null) : Date.parse(run.finished_at);
  if (end === null) return null;
  const seconds = (end - Date.parse(run.started_at)) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null;
}
