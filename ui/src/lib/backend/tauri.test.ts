import { invoke } from "@tauri-apps/api/core";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { FAKE_DEFAULTS } from "./fake";
import { tauri } from "./tauri";

vi.mock("@tauri-apps/api/core", () => ({
  invoke: vi.fn(),
  Channel: class {
    constructor(public onmessage: (message: unknown) => void) {}
  },
}));

const watched = () => {
  const stopper = new AbortController();
  return { onProgress: vi.fn(), signal: stopper.signal, stopper };
};
const followed = { work: expect.any(Number), progress: expect.anything() };
const NO_CHANGE = { endpoint: null, proxy: null, env_file: { kind: "keep" }, ca_file: { kind: "clear" } } as const;

beforeEach(() => {
  vi.mocked(invoke).mockReset();
});

describe("the door to Rust", () => {
  it("calls each command by its name, with the parameters by theirs", async () => {
    vi.mocked(invoke).mockResolvedValue(null);
    await tauri.home();
    await tauri.listDataSets();
    await tauri.showDataSet("a");
    await tauri.pickFile();
    await tauri.pickAnyFile();
    await tauri.pickDataFolder();
    await tauri.previewImport(1);
    await tauri.pickNewFile("a.csv");
    await tauri.importDataSet(1, null, null, watched());
    await tauri.sampleDataSet("a", "b", 0.1, 7);
    await tauri.splitDataSet("a", "author", 0.2, 0.1, null);
    await tauri.dataSetLeaks("a", "text", watched());
    await tauri.typeWordsAlone("a", "text", watched());
    await tauri.exportDataSet("a", 2, "csv", true, watched());
    await tauri.importSample();
    await tauri.removeDataSet("a");
    await tauri.listModels();
    await tauri.listDevices();
    await tauri.pickFolder();
    await tauri.addModel(3, "m");
    await tauri.removeModel("m");
    await tauri.defaultConfig();
    await tauri.startTraining(FAKE_DEFAULTS);
    await tauri.estimateRun(FAKE_DEFAULTS);
    await tauri.presets();
    await tauri.pauseRun(1);
    await tauri.unpauseRun(1);
    await tauri.stopRun(1, true);
    await tauri.resumeRun(1, null);
    await tauri.resumeRun(1, "cpu");
    await tauri.removeRun(1);
    await tauri.mergeRun(1);
    await tauri.listRuns();
    await tauri.showRun(1, 20);
    await tauri.predict(1, "text");
    await tauri.evaluateRun(1, "a", watched());
    await tauri.listEvaluations();
    await tauri.compareEvaluations(1, 2, "a");
    await tauri.hubState();
    await tauri.setHubSettings(NO_CHANGE);
    await tauri.hubAccount();
    await tauri.hubLogin();
    await tauri.hubLogout();
    await tauri.catalogue();
    await tauri.searchHub("dataset", "mbti");
    await tauri.planModel("a/b");
    await tauri.planDataSet("a/c", "train");
    await tauri.fetchModel("a/b", "c0ffee", null, watched());
    await tauri.fetchDataSet("a/c", "beef", "train", "mine", watched());
    await tauri.planPush(1, "me/mbti");
    await tauri.pushRun(1, "me/mbti", true, watched());
    expect(vi.mocked(invoke).mock.calls).toEqual([
      ["home", {}],
      ["list_data_sets", {}],
      ["show_data_set", { name: "a" }],
      ["pick_file", {}],
      ["pick_any_file", {}],
      ["pick_data_folder", {}],
      ["preview_import", { handle: 1 }],
      ["pick_new_file", { name: "a.csv" }],
      ["import_data_set", { handle: 1, name: null, mapping: null, ...followed }],
      ["sample_data_set", { from: "a", to: "b", fraction: 0.1, seed: 7 }],
      ["split_data_set", { from: "a", by: "author", validFraction: 0.2, testFraction: 0.1, folds: null }],
      ["data_set_leaks", { name: "a", by: "text", ...followed }],
      ["type_words_alone", { name: "a", by: "text", ...followed }],
      ["export_data_set", { name: "a", handle: 2, format: "csv", safeCells: true, ...followed }],
      ["import_sample", {}],
      ["remove_data_set", { name: "a" }],
      ["list_models", {}],
      ["list_devices", {}],
      ["pick_folder", {}],
      ["add_model", { handle: 3, name: "m" }],
      ["remove_model", { name: "m" }],
      ["default_config", {}],
      ["start_training", { config: FAKE_DEFAULTS, language: "en" }],
      ["estimate_run", { config: FAKE_DEFAULTS }],
      ["presets", {}],
      ["pause_run", { run: 1 }],
      ["unpause_run", { run: 1 }],
      ["stop_run", { run: 1, now: true }],
      ["resume_run", { run: 1, device: null }],
      ["resume_run", { run: 1, device: "cpu" }],
      ["remove_run", { run: 1 }],
      ["merge_run", { run: 1 }],
      ["list_runs", {}],
      ["show_run", { run: 1, afterStep: 20 }],
      ["predict", { run: 1, text: "text" }],
      ["evaluate_run", { run: 1, data: "a", ...followed }],
      ["list_evaluations", {}],
      ["compare_evaluations", { first: 1, second: 2, data: "a" }],
      ["hub_state", {}],
      ["set_hub_settings", { change: NO_CHANGE, language: "en" }],
      ["hub_account", {}],
      ["hub_login", {}],
      ["hub_logout", {}],
      ["catalogue", {}],
      ["search_hub", { kind: "dataset", words: "mbti" }],
      ["plan_model", { repo: "a/b" }],
      ["plan_data_set", { repo: "a/c", split: "train" }],
      ["fetch_model", { repo: "a/b", commit: "c0ffee", name: null, ...followed }],
      ["fetch_data_set", { repo: "a/c", commit: "beef", split: "train", name: "mine", ...followed }],
      ["plan_push", { run: 1, repo: "me/mbti" }],
      ["push_run", { run: 1, repo: "me/mbti", private: true, language: "en", ...followed }],
    ]);
  });

  it("hands on how far work is, and stops it by its number while it goes on", async () => {
    const watch = watched();
    let end = () => {};
    vi.mocked(invoke).mockImplementation((command) =>
      command === "stop_work" ? Promise.resolve(null) : new Promise((resolve) => (end = () => resolve(null))),
    );
    const leaks = tauri.dataSetLeaks("a", "text", watch);
    const sent = vi.mocked(invoke).mock.calls[0]![1] as { work: number; progress: { onmessage: (told: unknown) => void } };
    const told = { kind: "texts", done: 1, total: 2 };
    sent.progress.onmessage(told);
    expect(watch.onProgress).toHaveBeenCalledWith(told);
    watch.stopper.abort();
    expect(vi.mocked(invoke).mock.calls[1]).toEqual(["stop_work", { work: sent.work }]);
    end();
    await leaks;

    const over = watched();
    vi.mocked(invoke).mockReset().mockResolvedValue(null);
    await tauri.dataSetLeaks("a", "text", over);
    over.stopper.abort();
    expect(vi.mocked(invoke).mock.calls).toHaveLength(1);
  });

  it("passes a problem on as it is", async () => {
    const problem = { code: "not_found", params: { path: "/a" }, message: "There is no file /a." };
    vi.mocked(invoke).mockRejectedValue(problem);
    await expect(tauri.importDataSet(1, null, null, watched())).rejects.toEqual(problem);
  });

  it.each(["command predict not found", new Error("broken"), { odd: true }, undefined])(
    "turns anything else into an internal problem: %s",
    async (thrown) => {
      vi.mocked(invoke).mockRejectedValue(thrown);
      await expect(tauri.home()).rejects.toMatchObject({ code: "internal", params: {} });
    },
  );
});
