import type { Backend } from "./backend/backend";
import type { Run } from "./backend/types/Run";
import { EMPTY_CURVE, type Curve } from "./curve";
import { pollRun } from "./poller";
import { dismissProblem, reportProblem } from "./problem.svelte";

/** A run that is being looked at, kept up to date while it goes on. */
export interface Follow {
  readonly run: Run | null;
  readonly curve: Curve;
  /** Whether the run's model is an adapter. */
  readonly adapter: boolean;
  start(run: number): void;
  /** Reads the run anew after its adapter was merged; all else that is shown stays until then. */
  reload(): void;
  stop(): void;
}

export function createFollow(backend: Backend, onEnd: (run: Run) => void = () => {}): Follow {
  const nothing = { run: null, curve: EMPTY_CURVE, adapter: false };
  let shown = $state.raw<{ run: Run | null; curve: Curve; adapter: boolean }>(nothing);
  let followed: number | null = null;
  let close = () => {};

  function follow(run: number): void {
    close();
    close = pollRun({
      showRun: (id, afterStep) => backend.showRun(id, afterStep),
      run,
      onProgress: ({ run, adapter }, curve) => (shown = { run, curve, adapter }),
      onError: (error) => reportProblem(error, "poll"),
      onRecovered: () => dismissProblem("poll"),
      onEnd,
    });
  }

  return {
    get run() {
      return shown.run;
    },
    get curve() {
      return shown.curve;
    },
    get adapter() {
      return shown.adapter;
    },
    start(run) {
      if (followed === run) return;
      shown = nothing;
      followed = run;
      follow(run);
    },
    reload() {
      if (followed === null) return;
      shown = { ...shown, adapter: false };
      follow(followed);
    },
    stop() {
      close();
      followed = null;
      shown = nothing;
    },
  };
}
