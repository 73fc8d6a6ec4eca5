import type { Backend } from "./backend/backend";

/** What a user can want of a run that goes on. */
export type Wish = "pause" | "unpause" | "stop" | "stop_now";

export function tell(backend: Backend, run: number, wish: Wish): Promise<void> {
  switch (wish) {
    case "pause":
      return backend.pauseRun(run);
    case "unpause":
      return backend.unpauseRun(run);
    case "stop":
      return backend.stopRun(run, false);
    case "stop_now":
      return backend.stopRun(run, true);
  }
}
