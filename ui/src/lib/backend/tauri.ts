import { invoke } from "@tauri-apps/api/core";
import type { Backend } from "./backend";
import { toProblem } from "./problem";

/** Calls a command of the Rust side. It rejects with a `Problem`, whatever went wrong. */
async function call<Answer>(command: string, parameters: Record<string, unknown> = {}): Promise<Answer> {
  try {
    return await invoke<Answer>(command, parameters);
  } catch (error) {
    throw toProblem(error);
  }
}

export const tauri: Backend = {
  home: () => call("home"),
  listDataSets: () => call("list_data_sets"),
  showDataSet: (name) => call("show_data_set", { name }),
  pickFile: () => call("pick_file"),
  previewImport: (path) => call("preview_import", { path }),
  importDataSet: (path, name, mapping = null) => call("import_data_set", { path, name, mapping }),
  cleanDataSet: (from, to, cleaning) => call("clean_data_set", { from, to, cleaning }),
  splitDataSet: (from, by, validFraction, testFraction) =>
    call("split_data_set", { from, by, validFraction, testFraction }),
  dataSetLeaks: (name, by) => call("data_set_leaks", { name, by }),
  importSample: () => call("import_sample"),
  removeDataSet: (name) => call("remove_data_set", { name }),
  listModels: () => call("list_models"),
  pickFolder: () => call("pick_folder"),
  addModel: (path, name) => call("add_model", { path, name }),
  removeModel: (name) => call("remove_model", { name }),
  defaultConfig: () => call("default_config"),
  startTraining: (config) => call("start_training", { config }),
  estimateRun: (config) => call("estimate_run", { config }),
  presets: () => call("presets"),
  pauseRun: (run) => call("pause_run", { run }),
  unpauseRun: (run) => call("unpause_run", { run }),
  stopRun: (run, now) => call("stop_run", { run, now }),
  resumeRun: (run) => call("resume_run", { run }),
  removeRun: (run) => call("remove_run", { run }),
  mergeRun: (run) => call("merge_run", { run }),
  listRuns: () => call("list_runs"),
  showRun: (run, afterStep) => call("show_run", { run, afterStep }),
  predict: (run, text) => call("predict", { run, text }),
};
