import type { Backend } from "./backend/backend";
import type { FoldProgress } from "./backend/types/FoldProgress";
import type { Notice } from "./backend/types/Notice";
import type { Run } from "./backend/types/Run";
import { EMPTY_CURVE, type Curve } from "./curve";
import { pollRun } from "./poller";
import { dismissProblem, reportProblem } from "./problem.svelte";

interface Followed {
  readonly run: Run | null;
  readonly curve: Curve;
  /** Whether the run's model is an adapter. */
  readonly adapter: boolean;
  /** Whether the run ended early and can go on. */
  readonly resumable: boolean;
  readonly notices: readonly Notice[];
  /** The folds that were begun, where the run is a cross-validation. */
  readonly folds: readonly FoldProgress[];
}

/** A run that is being looked at, kept up to date while it goes on. */
export interface Follow extends Followed {
  /** Follows this run; one that is followed already is read anew only if it had ended. */
  start(run: number): void;
  /** Reads the run anew, as after a merge or a resumption; what is shown stays until then. */
  reload(): void;
  stop(): void;
}

const NOTHING: Followed = { run: null, curve: EMPTY_CURVE, adapter: false, resumable: false, notices: [], folds: [] };

export function createFollow(backend: Backend, onEnd: (run: Run) => void = () => {}): Follow {
  let shown = $state.raw<Followed>(NOTHING);
  let followed: number | null = null;
  // Not a state: who starts to follow within an effect must not depend on it.
  let ended = false;
  let close = () => {};

  function follow(run: number): void {
    close();
    ended = false;
    close = pollRun({
      showRun: (id, afterStep) => backend.showRun(id, afterStep),
      run,
      onProgress: ({ run, adapter, resumable, notices, folds }, curve) =>
        (shown = { run, curve, adapter, resumable, notices, folds }),
      onError: (error) => reportProblem(error, "poll"),
      onRecovered: () => dismissProblem("poll"),
      onEnd: (run) => {
        ended = true;
        onEnd(run);
      },
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
    get resumable() {
      return shown.resumable;
    },
    get notices() {
      return shown.notices;
    },
    get folds() {
      return shown.folds;
    },
    start(run) {
      if (followed === run && !ended) return;
      if (followed !== run) shown = NOTHING;
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
      shown = NOTHING;
    },
  };
}
