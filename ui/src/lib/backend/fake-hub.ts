import type { Backend, Watch } from "./backend";
import { CATALOGUE, FOUND } from "./fake-catalogue";
import { hash, problem } from "./fake-data";
import { bytesOf } from "./fake-texts";
import type { Account } from "./types/Account";
import type { DownloadPlan } from "./types/DownloadPlan";
import type { FileChoice } from "./types/FileChoice";
import type { HubSettings } from "./types/HubSettings";
import type { ImportReport } from "./types/ImportReport";
import type { Model } from "./types/Model";
import type { Problem } from "./types/Problem";
import type { Pushed } from "./types/Pushed";
import type { RepoKind } from "./types/RepoKind";
import type { TokenSource } from "./types/TokenSource";
import type { WorkProgress } from "./types/WorkProgress";

/** What the stand-in of the Hub needs of the stand-in that it is a part of. */
interface Host {
  answer<Value>(work: () => Value): Promise<Value>;
  follow<Value>(watch: Watch, progress: (share: number) => WorkProgress, work: () => Value): Promise<Value>;
  /** What was chosen in a dialog. */
  pathOf(handle: number): string;
  importAs(source: string, name: string): ImportReport;
  addModel(source: string, name: string): Model;
  pushed(run: number, pushed: Pushed): void;
}

type Asked =
  | "hubState"
  | "setHubSettings"
  | "hubAccount"
  | "hubLogin"
  | "hubLogout"
  | "catalogue"
  | "searchHub"
  | "planModel"
  | "planDataSet"
  | "fetchModel"
  | "fetchDataSet"
  | "planPush"
  | "pushRun";

export interface FakeHub {
  backend: Pick<Backend, Asked>;
  /** Asks for consent as a dialog of the system's does. */
  agree(): void;
  /** What a test may set: there is no token here either, only what would come of one. */
  world: {
    /** What the clipboard holds. */
    clipboard: "write" | "read" | "wrong" | "no token";
    keyring: boolean;
    offline: boolean;
    /** Whether the user agrees to what dialogs of the system's ask. */
    agrees: boolean;
    /** What address a token is kept for, where another one is set. */
    keptFor: string | null;
    /** Where a token is found, the first place before the others. */
    tokens: TokenSource[];
    /** Whose the token is that is found. */
    account: Account | null;
    settings: HubSettings;
  };
}

const ADDRESS = "https://huggingface.co";
const WRITER: Account = { name: "mira", token_name: "laptop", role: "write", writes_to: ["mira", "quiet-lab"] };
const READER: Account = { name: "mira", token_name: null, role: "read", writes_to: [] };

/** The Hub's stand-in: words in the names of repositories choose what it answers. */
export function createFakeHub(host: Host): FakeHub {
  const world: FakeHub["world"] = {
    clipboard: "write",
    keyring: true,
    offline: false,
    agrees: true,
    keptFor: null,
    tokens: [],
    account: null,
    settings: { endpoint: null, env_file: null, proxy: null, ca_file: null },
  };
  /** Bytes that came before a download was stopped. */
  const here = new Map<string, number>();

  const backend: FakeHub["backend"] = {
    hubState: () =>
      host.answer(() => ({
        access: {
          endpoint: world.settings.endpoint ?? ADDRESS,
          offline: world.offline,
          token: world.tokens[0] ?? null,
        },
        settings: world.settings,
        kept_for: world.keptFor,
        problem: null,
      })),
    setHubSettings: (change) =>
      host.answer(() => {
        const { endpoint, proxy } = change;
        if (proxy !== null && !proxy.includes("://")) throw problem("bad_hub_setting", { name: "proxy", value: proxy });
        const env_file = fileOf(change.env_file, world.settings.env_file);
        const ca_file = fileOf(change.ca_file, world.settings.ca_file);
        agree();
        world.settings = { endpoint, proxy, env_file, ca_file };
      }),
    hubAccount: () => host.answer(whose),
    hubLogin: () => host.answer(login),
    hubLogout: () =>
      host.answer(() => {
        const theirs = world.tokens.filter(({ kind }) => kind !== "keyring" && kind !== "own_file");
        const was = theirs.length < world.tokens.length;
        world.tokens = theirs;
        return { was, left: theirs[0] ?? null };
      }),
    catalogue: () => host.answer(() => [...CATALOGUE]),
    searchHub: (kind, words) =>
      host.answer(() => {
        refuse(words);
        return FOUND[kind].filter(({ repo }) => repo.toLowerCase().includes(words.toLowerCase()));
      }),
    planModel: (repo) => host.answer(() => planOf("model", repo)),
    planDataSet: (repo, split) =>
      host.answer(() => {
        if (split !== "train") throw problem("no_split", { repo, split, known: "train" });
        return planOf("dataset", repo);
      }),
    async fetchModel(repo, _commit, name, watch) {
      await download(planOf("model", repo), watch);
      return host.answer(() => host.addModel(repo, name ?? ownName(repo)));
    },
    async fetchDataSet(repo, _commit, _split, name, watch) {
      await download(planOf("dataset", repo), watch);
      return host.follow(watch, bytesOf(40_000_000), () => host.importAs(repo, name ?? ownName(repo)));
    },
    planPush: (_run, repo) =>
      host.answer(() => ({
        repo: repo.includes("/") ? repo : `${whose().name}/${repo}`,
        files: [
          { path: "config.json", bytes: 812 },
          { path: "model.safetensors", bytes: null },
          { path: "tokenizer.json", bytes: 711_396 },
          { path: "README.md", bytes: 5_120 },
        ],
      })),
    async pushRun(run, repo, _isPrivate, watch) {
      const account = await host.answer(whose);
      const full = repo.includes("/") ? repo : `${account.name}/${repo}`;
      if (!account.writes_to.includes(full.split("/")[0]!)) throw problem("no_right", { repo: full });
      agree();
      const pushed = { repo: full, commit: commitOf(full), page: `${ADDRESS}/${full}` };
      return host.follow(watch, transferOf(17_600_000), () => {
        host.pushed(run, pushed);
        return pushed;
      });
    },
  };
  return { backend, world, agree };

  function agree(): void {
    if (!world.agrees) throw problem("not_agreed");
  }

  function fileOf(choice: FileChoice, old: string | null): string | null {
    if (choice.kind === "chosen") return host.pathOf(choice.handle);
    return choice.kind === "keep" ? old : null;
  }

  function whose(): Account {
    const place = world.tokens[0];
    if (!place) throw problem("no_token");
    if (!world.account) throw problem("wrong_token", { source: place.kind === "keyring" ? "keyring" : "the environment" });
    return world.account;
  }

  function login() {
    if (world.clipboard === "no token") throw problem("bad_token");
    if (world.clipboard === "wrong") throw problem("unknown_token");
    const account = world.clipboard === "read" ? READER : WRITER;
    const file = world.keyring ? null : "/home/you/.mbti-tuner/token";
    const kept: TokenSource = file === null ? { kind: "keyring" } : { kind: "own_file", path: file };
    world.tokens = [...world.tokens.filter(({ kind }) => kind === "environment"), kept];
    world.account = account;
    return { account, file, used: world.tokens[0]! };
  }

  async function download(plan: DownloadPlan, watch: Watch): Promise<void> {
    if (plan.gated && world.tokens.length === 0) {
      throw problem("gated_repo", { repo: plan.repo, page: `${ADDRESS}/${plan.repo}` });
    }
    const progress = transferOf(plan.bytes, here.get(plan.repo));
    const onProgress = (told: WorkProgress) => {
      if (told.kind === "transfer") here.set(plan.repo, told.bytes_done);
      watch.onProgress(told);
    };
    await host.follow({ ...watch, onProgress }, progress, () => {});
  }

  function planOf(kind: RepoKind, repo: string): DownloadPlan {
    refuse(repo);
    const known = CATALOGUE.find((model) => model.repo === repo);
    const weights = known ? known.download_mib * 1_048_576 : 4_000_000 + (hash(repo) % 90_000_000);
    const names = kind === "model" ? ["config.json", "model.safetensors", "tokenizer.json"] : ["data/train.parquet"];
    const files = names.map((path) => {
      const large = /safetensors|parquet/.test(path);
      const bytes = large ? weights : path === "config.json" ? 687 : 2_100_000;
      return { path, bytes, hash: commitOf(path), lfs: large };
    });
    return {
      kind,
      repo,
      commit: commitOf(repo),
      files,
      bytes: files.reduce((sum, file) => sum + file.bytes, 0),
      bytes_here: here.get(repo) ?? 0,
      licence: known ? known.licence : kind === "model" ? "apache-2.0" : null,
      gated: known?.gated ?? repo.includes("gated"),
    };
  }
}

/** The problem that a repository, or words to search for, give. */
function refuse(repo: string): void {
  const found = refusal(repo);
  if (found) throw found;
}

function refusal(repo: string): Problem | null {
  if (repo.includes("busy")) return problem("rate_limited", { seconds: "40" });
  if (repo.includes("missing")) return problem("no_repo", { repo });
  if (repo.includes("unreachable")) return problem("no_network", { host: "huggingface.co", reason: "Connection refused" });
  if (repo.includes("pickled")) return problem("nothing_usable", { repo, needed: "weights" });
  return null;
}

/** How a download tells how far it is; in the middle the Hub wants to be left alone for a moment. */
function transferOf(total: number, from = 0): (share: number) => WorkProgress {
  return (share) => ({
    kind: "transfer",
    bytes_done: Math.round(from + share * (total - from)),
    bytes_total: total,
    bytes_again: 0,
    seconds_left: share === 0 ? null : Math.round((1 - share) * 75),
    waiting_seconds: share === 0.6 ? 2.5 : null,
  });
}

function ownName(repo: string): string {
  return repo.split("/").at(-1)!;
}

function commitOf(text: string): string {
  return Array.from({ length: 5 }, (_, place) => hash(`${text}${place}`).toString(16).padStart(8, "0")).join("");
}
