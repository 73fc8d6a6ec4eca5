import { toProblem } from "./backend/problem";
import type { Problem } from "./backend/types/Problem";

/** What the problem belongs to: a poll or watch that comes through again takes its own back. */
export type ProblemSource = "action" | "poll" | "watch" | "predict";

let shown = $state.raw<{ problem: Problem; source: ProblemSource } | null>(null);

export function currentProblem(): Problem | null {
  return shown?.problem ?? null;
}

/** Puts a problem, or anything that was thrown, into the one place where problems are seen. */
export function reportProblem(error: unknown, source: ProblemSource = "action"): void {
  const problem = toProblem(error);
  // A poll fails again and again; saying the same anew would only startle a screen reader.
  if (source !== "action" && shown && shown.problem.message === problem.message) return;
  console.error(problem.message);
  shown = { problem, source };
}

export function dismissProblem(source?: ProblemSource): void {
  if (source === undefined || shown?.source === source) shown = null;
}

/** Lets nothing that was thrown anywhere vanish unseen. Returns what ends the watch. */
export function watchForProblems(): () => void {
  const onError = (event: ErrorEvent) => {
    // The browser's own notice that a layout took two rounds is no fault of anything.
    if (event.message.startsWith("ResizeObserver loop")) return;
    reportProblem(event.error ?? event.message);
  };
  const onRejection = (event: PromiseRejectionEvent) => reportProblem(event.reason);
  window.addEventListener("error", onError);
  window.addEventListener("unhandledrejection", onRejection);
  return () => {
    window.removeEventListener("error", onError);
    window.removeEventListener("unhandledrejection", onRejection);
  };
}
