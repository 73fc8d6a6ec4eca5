import type { DataSet } from "./types/DataSet";
import type { DataSetDetail } from "./types/DataSetDetail";
import type { Estimate } from "./types/Estimate";
import type { ImportReport } from "./types/ImportReport";
import type { Model } from "./types/Model";
import type { Prediction } from "./types/Prediction";
import type { PresetConfig } from "./types/PresetConfig";
import type { Run } from "./types/Run";
import type { RunProgress } from "./types/RunProgress";
import type { TrainConfig } from "./types/TrainConfig";

/** All that the window can ask of the program. Every rejection carries a `Problem`. */
export interface Backend {
  /** The folder in which everything lies. */
  home(): Promise<string>;
  listDataSets(): Promise<DataSet[]>;
  showDataSet(name: string): Promise<DataSetDetail>;
  /** Opens the system's own dialog; null if it was cancelled. */
  pickFile(): Promise<string | null>;
  importDataSet(path: string, name: string | null): Promise<ImportReport>;
  /** Imports the made-up sample that comes with the program. */
  importSample(): Promise<ImportReport>;
  removeDataSet(name: string): Promise<void>;
  listModels(): Promise<Model[]>;
  pickFolder(): Promise<string | null>;
  addModel(path: string, name: string | null): Promise<Model>;
  removeModel(name: string): Promise<void>;
  /** The defaults, with data and model empty or the best guess. */
  defaultConfig(): Promise<TrainConfig>;
  /** Starts the engine, a process of its own, and tells the run's number. */
  startTraining(config: TrainConfig): Promise<number>;
  /** What a run with this config would need; measures two steps, which may take a minute. */
  estimateRun(config: TrainConfig): Promise<Estimate>;
  presets(): Promise<PresetConfig[]>;
  /** Asks the run to wait after its current step, with its work saved. */
  pauseRun(run: number): Promise<void>;
  unpauseRun(run: number): Promise<void>;
  /** Asks the run to end after its current step and to keep what it has learned, or to end at once. */
  stopRun(run: number, now: boolean): Promise<void>;
  /** Lets a run that ended early go on from its last checkpoint. */
  resumeRun(run: number): Promise<void>;
  removeRun(run: number): Promise<void>;
  /** Makes a whole model of a run's adapter and its base model, which may take a minute. */
  mergeRun(run: number): Promise<void>;
  /** The newest first. */
  listRuns(): Promise<Run[]>;
  /** The run with the steps and evaluations whose step is above `afterStep`. */
  showRun(run: number, afterStep: number): Promise<RunProgress>;
  predict(run: number, text: string): Promise<Prediction>;
}
