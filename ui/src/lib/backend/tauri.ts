import { Channel, invoke } from "@tauri-apps/api/core";
import { language } from "../i18n/language.svelte";
import type { Backend, Watch } from "./backend";
import { toProblem } from "./problem";
import type { WorkProgress } from "./types/WorkProgress";

/** Calls a command of the Rust side. It rejects with a `Problem`, whatever went wrong. */
async function call<Answer>(command: string, parameters: Record<string, unknown> = {}): Promise<Answer> {
  try {
    return await invoke<Answer>(command, parameters);
  } catch (error) {
    throw toProblem(error);
  }
}

/** Calls a command that tells how far it is through a channel, and that is stopped by the number it is given. */
async function follow<Answer>(command: string, parameters: Record<string, unknown>, watch: Watch): Promise<Answer> {
  // By chance, as work that a page began goes on when the page is loaded anew.
  const work = Math.floor(Math.random() * 2 ** 32);
  const progress = new Channel<WorkProgress>(watch.onProgress);
  const stop = () => void call("stop_work", { work });
  watch.signal.addEventListener("abort", stop);
  try {
    return await call<Answer>(command, { ...parameters, work, progress });
  } finally {
    watch.signal.removeEventListener("abort", stop);
  }
}

export const tauri: Backend = {
  home: () => call("home"),
  listDataSets: () => call("list_data_sets"),
  showDataSet: (name) => call("show_data_set", { name }),
  pickFile: () => call("pick_file"),
  pickDataFolder: () => call("pick_data_folder"),
  pickAnyFile: () => call("pick_any_file"),
  pickNewFile: (name) => call("pick_new_file", { name }),
  previewImport: (handle) => call("preview_import", { handle }),
  importDataSet: (handle, name, mapping, watch) => follow("import_data_set", { handle, name, mapping }, watch),
  cleanDataSet: (from, to, cleaning, watch) => follow("clean_data_set", { from, to, cleaning }, watch),
  sampleDataSet: (from, to, fraction, seed) => call("sample_data_set", { from, to, fraction, seed }),
  splitDataSet: (from, by, validFraction, testFraction, folds) =>
    call("split_data_set", { from, by, validFraction, testFraction, folds }),
  dataSetLeaks: (name, by, watch) => follow("data_set_leaks", { name, by }, watch),
  typeWordsAlone: (name, by, watch) => follow("type_words_alone", { name, by }, watch),
  exportDataSet: (name, handle, format, safeCells, watch) =>
    follow("export_data_set", { name, handle, format, safeCells }, watch),
  importSample: () => call("import_sample"),
  removeDataSet: (name) => call("remove_data_set", { name }),
  listModels: () => call("list_models"),
  listDevices: () => call("list_devices"),
  pickFolder: () => call("pick_folder"),
  addModel: (handle, name) => call("add_model", { handle, name }),
  removeModel: (name) => call("remove_model", { name }),
  defaultConfig: () => call("default_config"),
  // Dialogs of the system's speak as the window does.
  startTraining: (config) => call("start_training", { config, language: language() }),
  estimateRun: (config) => call("estimate_run", { config }),
  presets: () => call("presets"),
  pauseRun: (run) => call("pause_run", { run }),
  unpauseRun: (run) => call("unpause_run", { run }),
  stopRun: (run, now) => call("stop_run", { run, now }),
  resumeRun: (run, device) => call("resume_run", { run, device }),
  removeRun: (run) => call("remove_run", { run }),
  mergeRun: (run) => call("merge_run", { run }),
  listRuns: () => call("list_runs"),
  showRun: (run, afterStep) => call("show_run", { run, afterStep }),
  predict: (run, text) => call("predict", { run, text }),
  evaluateRun: (run, data, watch) => follow("evaluate_run", { run, data }, watch),
  listEvaluations: () => call("list_evaluations"),
  compareEvaluations: (first, second, data) => call("compare_evaluations", { first, second, data }),
  hubState: () => call("hub_state"),
  setHubSettings: (change) => call("set_hub_settings", { change, language: language() }),
  hubAccount: () => call("hub_account"),
  hubLogin: () => call("hub_login"),
  hubLogout: () => call("hub_logout"),
  catalogue: () => call("catalogue"),
  searchHub: (kind, words) => call("search_hub", { kind, words }),
  planModel: (repo) => call("plan_model", { repo }),
  planDataSet: (repo, split) => call("plan_data_set", { repo, split }),
  fetchModel: (repo, commit, name, watch) => follow("fetch_model", { repo, commit, name }, watch),
  fetchDataSet: (repo, commit, split, name, watch) => follow("fetch_data_set", { repo, commit, split, name }, watch),
  planPush: (run, repo) => call("plan_push", { run, repo }),
  // "private" is a word that no parameter can have in strict code.
  pushRun: (run, repo, isPrivate, watch) =>
    follow("push_run", { run, repo, private: isPrivate, language: language() }, watch),
};
