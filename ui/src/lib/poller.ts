import type { Backend } from "./backend/backend";
import type { Run } from "./backend/types/Run";
import type { RunProgress } from "./backend/types/RunProgress";
import { EMPTY_CURVE, extended, nextAfterStep, type Curve } from "./curve";
import { isActive } from "./runs";

export interface PollerOptions {
  showRun: Backend["showRun"];
  run: number;
  onProgress: (progress: RunProgress, curve: Curve) => void;
  /** A poll failed; the poller tries again, ever less often. */
  onError: (error: unknown) => void;
  /** The first poll after a failed one came through. */
  onRecovered?: () => void;
  /** The run is over; nothing is asked any more. */
  onEnd?: (run: Run) => void;
  /** Milliseconds between an answer and the next question. */
  interval?: number;
}

const LONGEST_WAIT = 10_000;

/** Follows a run until it ends, fetching only what is new. Returns what ends it earlier. */
export function pollRun(options: PollerOptions): () => void {
  const { showRun, run, onProgress, onError, onRecovered, onEnd, interval = 500 } = options;
  let curve = EMPTY_CURVE;
  let closed = false;
  let failures = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function poll(): Promise<void> {
    try {
      const progress = await showRun(run, nextAfterStep(curve));
      if (closed) return;
      if (failures > 0) onRecovered?.();
      failures = 0;
      curve = extended(curve, progress);
      onProgress(progress, curve);
      if (!isActive(progress.run.status)) {
        onEnd?.(progress.run);
        return;
      }
    } catch (error) {
      if (closed) return;
      failures += 1;
      onError(error);
      // A run that is gone will not come back.
      if (isUnknownRun(error)) return;
    }
    if (!closed) timer = setTimeout(poll, Math.min(LONGEST_WAIT, interval * 2 ** failures));
  }

  void poll();
  return () => {
    closed = true;
    clearTimeout(timer);
  };
}

function isUnknownRun(error: unknown): boolean {
  return typeof error === "object" && error !== null && "code" in error && error.code === "unknown_run";
}
