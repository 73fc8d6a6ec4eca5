import { createContext } from "svelte";
import { SvelteSet } from "svelte/reactivity";
import type { DeviceInfo } from "./backend/types/DeviceInfo";
import type { ImportReport } from "./backend/types/ImportReport";
import type { Leaks } from "./backend/types/Leaks";
import type { Draft } from "./draft";
import { emptyHubSession, type HubSession } from "./hubSession";
import { createWork, type Work } from "./work.svelte";

/** What may go on for minutes, and may go on while another screen is looked at. */
export type WorkKind = "import" | "make" | "leaks" | "export" | "fetch-model" | "fetch-dataset" | "push" | "evaluate";

export const screens = ["data", "train", "runs", "predict", "hub"] as const;
export type Screen = (typeof screens)[number];

/** What outlives a change of screen but not the program. */
export interface Session {
  screen: Screen;
  /** Name of the data set that is looked at. */
  dataSet: string | null;
  /** What became of the data set that was made the last. */
  newest: ImportReport | null;
  /** What the leak meter found, by the data set's name. */
  leaks: Record<string, Leaks>;
  /** The pieces of work that were begun, by `workOf`'s keys. */
  works: Map<string, Work>;
  /** What the engine can compute on; null until it has been asked. */
  devices: readonly DeviceInfo[] | null;
  /** Number of the run that is open in Runs. */
  openRun: number | null;
  /** Numbers of the runs that are being merged. */
  merging: Set<number>;
  /** How often a run that has ended was changed: merged, or pushed. */
  changes: number;
  predictRun: number | null;
  predictText: string;
  /** The settings in Train as they were left. */
  draft: Draft | null;
  hub: HubSession;
}

/**
 * The session reaches the screens as a context and not as a property: what a component assigns
 * through a property is out of reach once the component is gone, and an answer may come later.
 */
export const [getSession, setSession] = createContext<Session>();

export function createSession(): Session {
  const session: Session = $state({
    screen: "data",
    dataSet: null,
    newest: null,
    leaks: {},
    works: new Map(),
    devices: null,
    openRun: null,
    merging: new SvelteSet(),
    changes: 0,
    predictRun: null,
    predictText: "",
    draft: null,
    hub: emptyHubSession(),
  });
  return session;
}

/** A kind of work on a data set, a run or none, so that whoever comes back to it finds it as it is, and can stop it. */
export function workOf(session: Session, kind: WorkKind, name = ""): Work {
  const key = `${kind}/${name}`;
  const work = session.works.get(key) ?? createWork();
  session.works.set(key, work);
  return work;
}
