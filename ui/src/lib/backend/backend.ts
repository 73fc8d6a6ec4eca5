import type { Account } from "./types/Account";
import type { CatalogueModel } from "./types/CatalogueModel";
import type { Chosen } from "./types/Chosen";
import type { Cleaning } from "./types/Cleaning";
import type { ColumnMapping } from "./types/ColumnMapping";
import type { DataSet } from "./types/DataSet";
import type { DataSetDetail } from "./types/DataSetDetail";
import type { DownloadPlan } from "./types/DownloadPlan";
import type { DeviceInfo } from "./types/DeviceInfo";
import type { ExportFormat } from "./types/ExportFormat";
import type { FoundRepo } from "./types/FoundRepo";
import type { HubChange } from "./types/HubChange";
import type { HubState } from "./types/HubState";
import type { ImportPreview } from "./types/ImportPreview";
import type { ImportReport } from "./types/ImportReport";
import type { Leaks } from "./types/Leaks";
import type { LoggedIn } from "./types/LoggedIn";
import type { LoggedOut } from "./types/LoggedOut";
import type { Model } from "./types/Model";
import type { Prediction } from "./types/Prediction";
import type { PresetConfig } from "./types/PresetConfig";
import type { PushPlan } from "./types/PushPlan";
import type { Pushed } from "./types/Pushed";
import type { RepoKind } from "./types/RepoKind";
import type { Run } from "./types/Run";
import type { RunComparison } from "./types/RunComparison";
import type { RunEstimate } from "./types/RunEstimate";
import type { RunEvaluation } from "./types/RunEvaluation";
import type { RunProgress } from "./types/RunProgress";
import type { SplitBy } from "./types/SplitBy";
import type { TrainConfig } from "./types/TrainConfig";
import type { WorkProgress } from "./types/WorkProgress";

/** How work that may take minutes is followed and stopped; stopped, it rejects with the problem `stopped`. */
export interface Watch {
  onProgress: (progress: WorkProgress) => void;
  signal: AbortSignal;
}

/** All that the window can ask of the program. Every rejection carries a `Problem`. */
export interface Backend {
  /** The folder in which everything lies. */
  home(): Promise<string>;
  listDataSets(): Promise<DataSet[]>;
  showDataSet(name: string): Promise<DataSetDetail>;
  /**
   * Opens the system's own dialog for a file of texts; null if it was cancelled. Files and folders are named by the
   * handles of what was chosen, each for what it was chosen for, and never by a path.
   */
  pickFile(): Promise<Chosen | null>;
  /** The same for a folder with files of texts. */
  pickDataFolder(): Promise<Chosen | null>;
  /** The same for a file that a setting names. */
  pickAnyFile(): Promise<Chosen | null>;
  /** Where a new file is to be, by the system's own dialog, which suggests a name; null if it was cancelled. */
  pickNewFile(name: string): Promise<Chosen | null>;
  /** What a file or folder holds, and which of its columns seem to be what. */
  previewImport(handle: number): Promise<ImportPreview>;
  /** Without a mapping the columns are guessed. */
  importDataSet(handle: number, name: string | null, mapping: ColumnMapping | null, watch: Watch): Promise<ImportReport>;
  /** Makes a new data set out of another. */
  cleanDataSet(from: string, to: string, cleaning: Cleaning, watch: Watch): Promise<ImportReport>;
  /** Makes a new data set of a part of the texts of another, each type in proportion. */
  sampleDataSet(from: string, to: string, fraction: number, seed: number): Promise<ImportReport>;
  /**
   * Makes new data sets out of one, called as it is with -train, -valid and, where wanted, -test behind; with
   * folds, which leave the fractions aside, with -fold1-train, -fold1-valid and so on.
   */
  splitDataSet(
    from: string,
    by: SplitBy,
    validFraction: number,
    testFraction: number,
    folds: number | null,
  ): Promise<ImportReport[]>;
  /** What a split in 80 and 20 per cent would leak. */
  dataSetLeaks(name: string, by: SplitBy, watch: Watch): Promise<Leaks>;
  /** The same with what the bag of words makes of type words alone, for which an engine is started. */
  typeWordsAlone(name: string, by: SplitBy, watch: Watch): Promise<Leaks>;
  /** Writes the texts to a new file, once for each choice; one that is there already is refused. */
  exportDataSet(name: string, handle: number, format: ExportFormat, safeCells: boolean, watch: Watch): Promise<void>;
  /** Imports the made-up sample that comes with the program. */
  importSample(): Promise<ImportReport>;
  removeDataSet(name: string): Promise<void>;
  listModels(): Promise<Model[]>;
  /** What the engine can compute on, and what it sees and cannot use. */
  listDevices(): Promise<DeviceInfo[]>;
  /** The system's own dialog for a model folder. */
  pickFolder(): Promise<Chosen | null>;
  addModel(handle: number, name: string | null): Promise<Model>;
  removeModel(name: string): Promise<void>;
  /** The defaults, with data and model empty or the best guess. */
  defaultConfig(): Promise<TrainConfig>;
  /** Starts the engine, a process of its own, and tells the run's number. A dialog asks first where it is to be pushed. */
  startTraining(config: TrainConfig): Promise<number>;
  /** What a run with this config would need, and on which device; measures two steps, which may take a minute. */
  estimateRun(config: TrainConfig): Promise<RunEstimate>;
  presets(): Promise<PresetConfig[]>;
  /** Asks the run to wait after its current step, with its work saved. */
  pauseRun(run: number): Promise<void>;
  unpauseRun(run: number): Promise<void>;
  /** Asks the run to end after its current step and to keep what it has learned, or to end at once. */
  stopRun(run: number, now: boolean): Promise<void>;
  /** Resumes a run that ended early from its last checkpoint: on the device of its settings, or on another one. */
  resumeRun(run: number, device: string | null): Promise<void>;
  removeRun(run: number): Promise<void>;
  /** Makes a whole model of a run's adapter and its base model, which may take a minute. */
  mergeRun(run: number): Promise<void>;
  /** The newest first. */
  listRuns(): Promise<Run[]>;
  /** The run with the steps and evaluations whose step is above `afterStep`. */
  showRun(run: number, afterStep: number): Promise<RunProgress>;
  predict(run: number, text: string): Promise<Prediction>;
  /** Judges a finished run on a data set, for which an engine is started, and keeps what was found. */
  evaluateRun(run: number, data: string, watch: Watch): Promise<RunEvaluation>;
  /** What was found of all runs: the newest run first, and of each the data sets by name. */
  listEvaluations(): Promise<RunEvaluation[]>;
  /** Whether one of two runs is better on a data set that both were evaluated on. */
  compareEvaluations(first: number, second: number, data: string): Promise<RunComparison>;
  /** The way to the Hub as it is set and found, without asking the Hub anything. */
  hubState(): Promise<HubState>;
  /** Changes the way to the Hub, once the user has agreed to it in a dialog of the system's. */
  setHubSettings(change: HubChange): Promise<void>;
  /** Asks the Hub whose the token is. */
  hubAccount(): Promise<Account>;
  /** Logs in with the token on the clipboard, which the program reads and the page never sees. */
  hubLogin(): Promise<LoggedIn>;
  /** Forgets the token that the program keeps; tells where one is still found. */
  hubLogout(): Promise<LoggedOut>;
  /** Models that are good to begin with. */
  catalogue(): Promise<CatalogueModel[]>;
  searchHub(kind: RepoKind, words: string): Promise<FoundRepo[]>;
  /** What a model would cost to fetch. */
  planModel(repo: string): Promise<DownloadPlan>;
  planDataSet(repo: string, split: string): Promise<DownloadPlan>;
  /** Without a name it has the repository's own. */
  fetchModel(repo: string, commit: string, name: string | null, watch: Watch): Promise<Model>;
  /** Fetches a data set and imports it, its columns guessed. */
  fetchDataSet(repo: string, commit: string, split: string, name: string | null, watch: Watch): Promise<ImportReport>;
  /** What a push would send and where to; nothing is sent or merged. */
  planPush(run: number, repo: string): Promise<PushPlan>;
  /** Uploads a run's model with a card, once a dialog has asked; an adapter is merged first. */
  pushRun(run: number, repo: string, isPrivate: boolean, watch: Watch): Promise<Pushed>;
}
