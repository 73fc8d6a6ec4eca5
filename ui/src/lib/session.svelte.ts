import { createContext } from "svelte";
import type { Draft } from "./draft";

export const screens = ["data", "train", "runs", "predict"] as const;
export type Screen = (typeof screens)[number];

/** What outlives a change of screen but not the program. */
export interface Session {
  screen: Screen;
  /** Name of the data set that is looked at. */
  dataSet: string | null;
  /** Number of the run that is open in Runs. */
  openRun: number | null;
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
    openRun: null,
    predictRun: null,
    predictText: "",
    draft: null,
  });
  return session;
}
