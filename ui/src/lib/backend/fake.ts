import { isActive } from "../runs";
import type { Backend, Watch } from "./backend";
import { estimateOf, FAKE_DEFAULTS, FAKE_DEVICES, FAKE_PRESETS } from "./fake-config";
import { comparisonOf, evaluationOf } from "./fake-evaluation";
import { createFakeHub, type FakeHub } from "./fake-hub";
import { createDataSet, createDetail, importProblem, nameFromPath, problem } from "./fake-data";
import { predict } from "./fake-predict";
import { bytesOf, cleanedOf, leaksOf, partNames, previewOf, sampledOf, TYPE_WORDS_ALONE, WORK_SHARES } from "./fake-texts";
import { advance, createRun, end, foldsOf, isResumable, loseDevice, resume, usedDevice, type FakeRun } from "./fake-run";
import type { Axis } from "./types/Axis";
import type { Chosen } from "./types/Chosen";
import type { Estimate } from "./types/Estimate";
import type { ImportReport } from "./types/ImportReport";
import type { Model } from "./types/Model";
import type { Notice } from "./types/Notice";
import type { RunEvaluation } from "./types/RunEvaluation";
import type { TrainConfig } from "./types/TrainConfig";
import type { WorkProgress } from "./types/WorkProgress";

export { FAKE_DEFAULTS } from "./fake-config";

const startingPoints = ["empty", "data", "training", "paused", "finished", "stopped", "interrupted", "lost", "failed", "history"] as const;
export type StartingPoint = (typeof startingPoints)[number];

export interface FakeOptions {
  startingPoint?: StartingPoint;
  /** How fast runs go on by the clock; at 0 only `tick` moves them. */
  stepsPerSecond?: number;
  /** Milliseconds that every answer takes. */
  delay?: number;
  /** Milliseconds between two tellings of how far a piece of work is. */
  workPause?: number;
}

export interface Fake extends Backend {
  workPause: number;
  /** The paths that dialogs give from now on, one after the other. With none left, each has its own; null cancels. */
  picks: (string | null)[];
  /** The handle of a path, as a dialog would give it. */
  chosen(path: string): number;
  /** What the stand-in of the Hub knows, and what is on its clipboard. */
  hub: FakeHub["world"];
  /** Every active run goes on by so many steps. */
  tick(steps?: number): void;
  endRun(run: number, how: "interrupted" | "lost" | "failed"): void;
}

/** From an address such as `?fake=training`, for looking at a state in a browser. */
export function startingPoint(search: string): StartingPoint {
  const wanted = new URLSearchParams(search).get("fake");
  return startingPoints.find((point) => point === wanted) ?? "empty";
}

/** What can happen on the way of a run. */
const NOTICES: readonly Notice[] = [
  { step: 6, problem: problem("batch_halved", { step: "6", batch_size: "4", gradient_accumulation_steps: "2" }) },
  { step: 12, problem: problem("checkpoint_passed_over", { path: "/home/you/runs/3/checkpoints/12", reason: "it is cut short" }) },
];

const WORDS: Model = {
  name: "words",
  family: "words",
  parameters: null,
  bytes: 0,
  folder: "",
  built_in: true,
  created_at: "2026-01-01T00:00:00Z",
  origin: null,
};

/** The program's stand-in for tests and for an ordinary browser: all in memory, all invented. */
export function createFake(options: FakeOptions = {}): Fake {
  const { startingPoint = "empty", stepsPerSecond = 0, delay = 0, workPause = 0 } = options;
  const dataSets: ImportReport[] = [];
  const models: Model[] = [WORDS];
  const runs: FakeRun[] = [];
  let evaluations: RunEvaluation[] = [];
  let nextId = 1;
  let nextRun = 1;
  let clock = Date.now();
  /** What was chosen in dialogs, by its handle. */
  const chosen = new Map<number, string>();
  const hub = createFakeHub({
    answer,
    follow,
    pathOf,
    importAs: (repo, name) => importAs(repo, name, false),
    addModel,
    pushed: (id, pushed) => void (runOf(id).run.pushed = pushed),
  });

  const fake: Fake = {
    ...hub.backend,
    workPause,
    picks: [],
    chosen: (path) => choose(path)!.handle,
    hub: hub.world,
    home: () => answer(() => "/home/you/.mbti-tuner"),
    listDataSets: () => answer(() => dataSets.map((report) => report.data_set)),
    showDataSet: (name) => answer(() => createDetail(dataSet(name))),
    pickFile: () => answer(() => choose("/home/you/mbti.csv", fake.picks.shift())),
    pickDataFolder: () => answer(() => choose("/home/you/texts", fake.picks.shift())),
    pickAnyFile: () => answer(() => choose("/home/you/.env", fake.picks.shift())),
    pickNewFile: (name) => answer(() => choose(`/home/you/${name}`, fake.picks.shift())),
    previewImport: (handle) =>
      answer(() => {
        const path = pathOf(handle);
        const refusal = importProblem(path);
        if (refusal && refusal.code !== "unknown_columns") throw refusal;
        return previewOf(path);
      }),
    importDataSet: (handle, name, _mapping, watch) =>
      follow(watch, bytesOf(40_000_000), () => importAs(pathOf(handle), name ?? nameFromPath(pathOf(handle)), false)),
    cleanDataSet: (from, to, cleaning, watch) =>
      follow(watch, textsOf(from), () => derive(from, to, (report) => cleanedOf(report, cleaning))),
    sampleDataSet: (from, to, fraction) => answer(() => derive(from, to, (report) => sampledOf(report, fraction))),
    splitDataSet: (from, _by, _validFraction, testFraction, folds) =>
      answer(() =>
        partNames(testFraction, folds).map((part) =>
          derive(from, `${from}-${part}`, (report) => ({ ...report, skipped: [], skipped_by_reason: {} })),
        ),
      ),
    dataSetLeaks: (name, by, watch) => follow(watch, textsOf(name), () => leaksOf(dataSet(name), by)),
    typeWordsAlone: (name, by, watch) =>
      follow(watch, null, () => ({ ...leaksOf(dataSet(name), by), type_words_alone: TYPE_WORDS_ALONE })),
    exportDataSet: (name, handle, _format, _safeCells, watch) =>
      follow(watch, textsOf(name), () => {
        const path = pathOf(handle);
        if (path.includes("taken")) throw problem("file_exists", { path });
        if (path.includes("missing")) throw problem("cannot_write", { path, reason: "No such file or directory" });
      }),
    importSample: () => answer(() => importAs("made-up sample", "made-up", true)),
    removeDataSet: (name) =>
      answer(() => {
        const report = dataSet(name);
        const user = runs.find(({ run }) => isActive(run.status) && run.config.data === name);
        if (user) throw problem("in_use", { name, run: String(user.run.id) });
        dataSets.splice(dataSets.indexOf(report), 1);
      }),
    listModels: () => answer(() => [...models]),
    listDevices: () => answer(() => FAKE_DEVICES),
    pickFolder: () => answer(() => choose("/home/you/models/bert-tiny", fake.picks.shift())),
    addModel: (handle, name) => answer(() => addModel(pathOf(handle), name ?? nameFromPath(pathOf(handle)))),
    removeModel: (name) =>
      answer(() => {
        const place = models.findIndex((model) => model.name === name && !model.built_in);
        if (place < 0) throw problem("unknown_model", { name, known: models.map((model) => model.name).join(", ") });
        models.splice(place, 1);
      }),
    defaultConfig: () =>
      answer(() => ({
        ...FAKE_DEFAULTS,
        data: dataSets.at(-1)?.data_set.name ?? "",
        model: models.at(-1)!.name,
      })),
    startTraining: (config) =>
      answer(() => {
        if (config.push_to_hub !== null) hub.agree();
        return start(config).run.id;
      }),
    estimateRun: (config) => answer(() => ({ estimate: estimate(config), used_device: usedDevice(config.device) })),
    presets: () => answer(() => [...FAKE_PRESETS]),
    pauseRun: (id) => answer(() => void (activeRunOf(id).run.pause_requested = true)),
    unpauseRun: (id) => answer(() => void (activeRunOf(id).run.pause_requested = false)),
    stopRun: (id, now) =>
      answer(() => {
        const found = activeRunOf(id);
        found.run.stop_requested = true;
        found.stopNow = now;
      }),
    resumeRun: (id, device) =>
      answer(() => {
        const found = runOf(id);
        if (isActive(found.run.status)) throw problem("run_is_active", { run: String(id) });
        if (!isResumable(found)) throw problem("nothing_to_resume", { run: String(id) });
        resume(found, device);
        clock = Date.now();
      }),
    removeRun: (id) =>
      answer(() => {
        const found = runOf(id);
        if (isActive(found.run.status)) throw problem("run_is_active", { run: String(id) });
        runs.splice(runs.indexOf(found), 1);
        evaluations = evaluations.filter((one) => one.run !== id);
      }),
    mergeRun: (id) =>
      answer(() => {
        const found = runOf(id);
        const { status, model_folder } = found.run;
        if (isActive(status)) throw problem("run_is_active", { run: String(id) });
        if (model_folder === null) throw problem("run_has_no_model", { run: String(id), status });
        found.adapter = false;
      }),
    listRuns: () => answer(() => runs.map(({ run }) => run).reverse()),
    showRun: (id, afterStep) =>
      answer(() => {
        const found = runOf(id);
        const { run, steps, evaluations, adapter, notices } = found;
        const isNew = (point: { step: number }) => point.step > afterStep;
        return {
          run,
          // The curves of a cross-validation are those of its folds.
          steps: run.total_steps === null ? [] : steps.filter(isNew),
          evaluations: run.total_steps === null ? [] : evaluations.filter(isNew),
          adapter,
          resumable: isResumable(found),
          notices,
          folds: foldsOf(found),
        };
      }),
    predict: (id, text) => answer(() => predict(runOf(id).run, text)),
    evaluateRun: (id, data, watch) =>
      follow(watch, textsOf(data), () => {
        const { run } = runOf(id);
        if (isActive(run.status)) throw problem("run_is_active", { run: String(id) });
        const found = evaluationOf(run, createDetail(dataSet(data)));
        evaluations = [...evaluations.filter((one) => one.run !== id || one.data !== data), found];
        evaluations.sort((one, other) => other.run - one.run || one.data.localeCompare(other.data));
        return found;
      }),
    listEvaluations: () => answer(() => evaluations),
    compareEvaluations: (first, second, data) =>
      answer(() => {
        const of = (run: number) => {
          const found = evaluations.find((one) => one.run === run && one.data === data);
          if (!found) throw problem("not_evaluated", { run: String(run), name: data });
          return found;
        };
        return comparisonOf(of(first), of(second));
      }),
    tick(steps = 1) {
      for (let step = 0; step < steps; step += 1) runs.forEach(advance);
    },
    endRun: (id, how) => (how === "lost" ? loseDevice(runOf(id)) : end(runOf(id), how)),
  };
  goTo(startingPoint);
  return fake;

  /** Keeps what was chosen: the path that is wanted, or the usual. */
  function choose(usual: string, wanted: string | null | undefined = usual): Chosen | null {
    if (wanted === null) return null;
    chosen.set(chosen.size + 1, wanted);
    return { handle: chosen.size, shown: wanted };
  }

  function pathOf(handle: number): string {
    const path = chosen.get(handle);
    if (path === undefined) throw problem("not_chosen");
    return path;
  }

  /** Answers as the real thing does: later, with a copy, and by a rejection where it fails. */
  async function answer<Value>(work: () => Value): Promise<Value> {
    if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
    followClock();
    return structuredClone(work());
  }

  /** Answers as `answer` does, after it has told how far it is and unless it is stopped. */
  async function follow<Value>(
    { onProgress, signal }: Watch,
    progress: ((share: number) => WorkProgress) | null,
    work: () => Value,
  ): Promise<Value> {
    for (const share of WORK_SHARES) {
      if (progress) onProgress(progress(share));
      if (fake.workPause > 0) await new Promise((resolve) => setTimeout(resolve, fake.workPause));
      if (signal.aborted) throw problem("stopped");
    }
    return answer(work);
  }

  function textsOf(name: string): (share: number) => WorkProgress {
    const total = dataSets.find((report) => report.data_set.name === name)?.data_set.examples ?? 0;
    return (share) => ({ kind: "texts", done: Math.floor(share * total), total });
  }

  function followClock(): void {
    const steps = Math.floor(((Date.now() - clock) / 1000) * stepsPerSecond);
    if (steps < 1) return;
    clock = Date.now();
    fake.tick(steps);
  }

  function dataSet(name: string): ImportReport {
    const found = dataSets.find((report) => report.data_set.name === name);
    if (found) return found;
    throw problem("unknown_data_set", { name, known: dataSets.map((report) => report.data_set.name).join(", ") });
  }

  function runOf(id: number): FakeRun {
    const found = runs.find(({ run }) => run.id === id);
    if (found) return found;
    throw problem("unknown_run", { run: String(id) });
  }

  function activeRunOf(id: number): FakeRun {
    const found = runOf(id);
    const { status } = found.run;
    if (!isActive(status)) throw problem("run_has_ended", { run: String(id), status });
    return found;
  }

  function estimate(config: TrainConfig): Estimate {
    return estimateOf(config, modelOf(config.model), dataSet(config.data).data_set.examples);
  }

  function modelOf(name: string): Model {
    const found = models.find((model) => model.name === name);
    if (found) return found;
    throw problem("unknown_model", { name, known: models.map((model) => model.name).join(", ") });
  }

  function importAs(path: string, name: string, madeUp: boolean): ImportReport {
    const refusal = importProblem(path);
    if (refusal) throw refusal;
    if (/[/\\]/.test(name)) throw problem("bad_name", { name });
    if (dataSets.some((report) => report.data_set.name === name)) throw problem("name_taken", { name });
    const report = createDataSet(nextId++, name, path, madeUp);
    dataSets.push(report);
    return report;
  }

  /** A data set out of another, changed by `change`. */
  function derive(from: string, name: string, change: (report: ImportReport) => ImportReport): ImportReport {
    const parent = dataSet(from);
    const report = change(importAs(`made of ${from}`, name, parent.data_set.made_up));
    report.data_set = { ...report.data_set, made_up: parent.data_set.made_up };
    dataSets[dataSets.length - 1] = report;
    return report;
  }

  function addModel(path: string, name: string): Model {
    if (path.includes("missing")) throw problem("not_found", { path });
    if (path.includes("incomplete")) throw problem("incomplete_model", { path, missing: "tokenizer.json" });
    if (models.some((model) => model.name === name)) throw problem("name_taken", { name });
    const model: Model = {
      name,
      family: "bert",
      parameters: 4_386_000,
      bytes: 17_600_000,
      folder: path,
      built_in: false,
      created_at: new Date().toISOString(),
      origin: null,
    };
    models.push(model);
    return model;
  }

  function start(config: TrainConfig): FakeRun {
    const data = dataSet(config.data);
    if (config.valid !== null) dataSet(config.valid);
    modelOf(config.model);
    if (config.axes.length === 0) throw problem("bad_setting", { name: "axes", value: "", allowed: "one to four" });
    const balance = new Map(Object.entries(createDetail(data).axes) as [Axis, [number, number]][]);
    const run = createRun(nextRun++, config, data.data_set, balance, estimate(config));
    runs.push(run);
    clock = Date.now();
    return run;
  }

  function goTo(point: StartingPoint): void {
    if (point === "empty") return;
    importAs("made-up sample", "made-up", true);
    if (point === "data") return;
    const config = { ...FAKE_DEFAULTS, data: "made-up", model: "words" };
    if (point === "history") {
      addModel("/home/you/models/bert-tiny", "bert-tiny");
      importAs("/home/you/kaggle.csv", "kaggle", false);
      importAs("/home/you/posts.csv", "posts", false);
      runThrough({ ...config, axes: ["E-I", "J-P"] });
      end(runThrough({ ...config, model: "bert-tiny" }, 14), "failed");
      runThrough({ ...config, data: "kaggle", valid: "posts", model: "bert-tiny", trainable: "lora" });
      end(runThrough(config, 30), "interrupted");
      runs.at(-1)!.notices.push(...NOTICES);
      const stopped = runThrough({ ...config, data: "posts", max_length: 8 }, 40);
      stopped.run.stop_requested = true;
      advance(stopped);
      runThrough(config, 20);
      return;
    }
    const run = runThrough(config, point === "finished" ? Infinity : 38);
    if (point === "paused") {
      run.run.pause_requested = true;
      run.notices.push(...NOTICES);
      advance(run);
    }
    if (point === "stopped") run.run.stop_requested = true;
    if (point === "interrupted" || point === "lost" || point === "failed") fake.endRun(run.run.id, point);
    else if (point === "stopped") advance(run);
  }

  function runThrough(config: TrainConfig, steps = Infinity): FakeRun {
    const run = start(config);
    for (let step = 0; step <= steps && isActive(run.run.status); step += 1) advance(run);
    return run;
  }
}
