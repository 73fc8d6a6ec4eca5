import type { Backend } from "./backend";
import { tauri } from "./tauri";

export type { Backend, Watch } from "./backend";

export interface OpenBackend {
  backend: Backend;
  /** Whether everything shown is invented, as there is no program behind the window. */
  demo: boolean;
}

/** The program itself inside its window; in an ordinary browser a stand-in that says so. */
export async function openBackend(): Promise<OpenBackend> {
  if ("__TAURI_INTERNALS__" in window) return { backend: tauri, demo: false };
  const { createFake, startingPoint } = await import("./fake");
  return { backend: createFake({ startingPoint: startingPoint(location.search), stepsPerSecond: 12, workPause: 500 }), demo: true };
}
