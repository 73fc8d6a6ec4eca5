import type { Backend } from "./backend/backend";
import type { Run } from "./backend/types/Run";
import { EMPTY_CURVE, type Curve } from "./curve";
import { pollRun } from "./poller";
import { dismissProblem, reportProblem } from "./problem.svelte";

/** A run that is being looked at, kept up to date while it goes on. */
export interface Follow {
  readonly run: Run | null;
  readonly curve: Curve;
  start(run: number): void;
  stop(): void;
}

export function createFollow(backend: Backend, onEnd: (run: Run) => void = () => {}): Follow {
  let shown = $state.raw<{ run: Run | null; curve: Curve }>({ run: null, curve: EMPTY_CURVE });
  let followed: number | null = null;
  let close = () => {};

  return {
    get run() {
      return shown.run;
    },
    get curve() {
      return shown.curve;
    },
    start(run) {
      if (followed === run) return;
      close();
      shown = { run: null, curve: EMPTY_CURVE };
      followed = run;
      close = pollRun({
        showRun: (id, afterStep) => backend.showRun(id, afterStep),
        run,
        onProgress: (newest, curve) => (shown = { run: newest, curve }),
        onError: (error) => reportProblem(error, "poll"),
        onRecovered: () => dismissProblem("poll"),
        onEnd,
      });
    },
    stop() {
      close();
      followed = null;
      shown = { run: null, curve: EMPTY_CURVE };
    },
  };
}
