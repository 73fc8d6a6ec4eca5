import type { Watch } from "./backend";
import { isProblem } from "./backend/problem";
import type { WorkProgress } from "./backend/types/WorkProgress";
import { dismissProblem, reportProblem } from "./problem.svelte";

/** A piece of work that may take minutes, as the page shows it. */
export interface Work {
  readonly active: boolean;
  /** Null until it has told how far it is, which some work never does. */
  readonly progress: WorkProgress | null;
  /** Whether it can be stopped, and whether that was asked for or is done. */
  readonly stoppable: boolean;
  readonly stopping: boolean;
  readonly stopped: boolean;
  /** Gives what came of it, or nothing where it failed or was stopped. */
  run<Value>(work: (watch: Watch) => Promise<Value>, stoppable?: boolean): Promise<Value | undefined>;
  stop(): void;
}

const NOTHING = { active: false, progress: null, stoppable: false, stopping: false, stopped: false };

export function createWork(): Work {
  let shown = $state.raw<Pick<Work, keyof typeof NOTHING>>(NOTHING);
  let stopper = new AbortController();

  async function run<Value>(work: (watch: Watch) => Promise<Value>, stoppable = true): Promise<Value | undefined> {
    stopper = new AbortController();
    const { signal } = stopper;
    shown = { ...NOTHING, active: true, stoppable };
    dismissProblem();
    // What is told late must not bring back work that is over.
    const onProgress = (progress: WorkProgress) => {
      if (shown.active) shown = { ...shown, progress };
    };
    try {
      const found = await work({ onProgress, signal });
      shown = NOTHING;
      return found;
    } catch (error) {
      // To stop is what was wished, and no problem.
      const stopped = signal.aborted && isProblem(error) && error.code === "stopped";
      shown = { ...NOTHING, stopped };
      if (!stopped) reportProblem(error);
      return undefined;
    }
  }

  return {
    get active() {
      return shown.active;
    },
    get progress() {
      return shown.progress;
    },
    get stoppable() {
      return shown.stoppable;
    },
    get stopping() {
      return shown.stopping;
    },
    get stopped() {
      return shown.stopped;
    },
    run,
    stop() {
      if (!shown.active) return;
      shown = { ...shown, stopping: true };
      stopper.abort();
    },
  };
}
