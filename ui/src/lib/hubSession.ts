import type { Account } from "./backend/types/Account";
import type { DownloadPlan } from "./backend/types/DownloadPlan";
import type { RepoKind } from "./backend/types/RepoKind";

/** What a download would bring; of a data set with the split that was asked for. */
export interface Planned {
  plan: DownloadPlan;
  split: string | null;
}

/** What the screen of the Hub shows, however often it is left. */
export interface HubSession {
  /** Whose the token is, once the Hub was asked. */
  account: Account | null;
  plans: Record<RepoKind, Planned | null>;
  /** The names that were fetched the last. */
  fetched: Record<RepoKind, string | null>;
}

export function emptyHubSession(): HubSession {
  return { account: null, plans: { model: null, dataset: null }, fetched: { model: null, dataset: null } };
}
