import { createContext } from "svelte";
import { SvelteSet } from "svelte/reactivity";
import type { ImportReport } from "./backend/types/ImportReport";
import type { Leaks } from "./backend/types/Leaks";
import type { Draft } from "./draft";
import { createWork, type Work } from "./work.svelte";

export const screens = ["data", "train", "runs", "predict"] as const;
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
  /** Number of the run that is open in Runs. */
  openRun: number | null;
  /** Numbers of the runs that are being merged. */
  merging: Set<number>;
  /** How many runs were merged so far. */
  merged: number;
  predictRun: number | null;
  predictText: string;
  /** The settings in Train as they were left. */
  draft: Draft | null;
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
    openRun: null,
    merging: new SvelteSet(),
    merged: 0,
    predictRun: null,
    predictText: "",
    draft: null,
  });
  return session;
}

/** A kind of work on a data set, so that whoever comes back to it finds it as it is, and can stop it. */
export function workOf(session: Session, kind: "import" | "make" | "leaks" | "export", name = ""): Work {
  const key = `${kind}/${name}`;
  const work = session.works.get(key) ?? createWork();
  session.works.set(key, work);
  return work;
}
