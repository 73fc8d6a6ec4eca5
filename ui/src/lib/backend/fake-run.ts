import { FAKE_DEVICES, stepsOf } from "./fake-config";
import { hash, problem } from "./fake-data";
import { crossValidationOf } from "./fake-evaluation";
import { assess, confusionOf, metricsOf, SKILLS, type Held } from "./fake-metrics";
import type { Axis } from "./types/Axis";
import type { DataSet } from "./types/DataSet";
import type { Estimate } from "./types/Estimate";
import type { Evaluation } from "./types/Evaluation";
import type { FoldProgress } from "./types/FoldProgress";
import type { Notice } from "./types/Notice";
import type { Run } from "./types/Run";
import type { Step } from "./types/Step";
import type { TrainConfig } from "./types/TrainConfig";
import type { UsedDevice } from "./types/UsedDevice";

/** A run of the stand-in: its record, and its curve up to now. */
export interface FakeRun {
  run: Run;
  steps: Step[];
  evaluations: Evaluation[];
  notices: Notice[];
  /** Texts of each letter among those held out. */
  held: Held;
  adapter: boolean;
  /** Steps in all, those of the folds of a cross-validation one after another. */
  total: number;
  /** Whether it was told to stop at once. */
  stopNow: boolean;
  /** The device that it was resumed on in place of the one of its settings. */
  device: string | null;
}

const SECONDS_A_STEP = 0.085;

/** Whether these are the settings of a whole cross-validation. */
const isWhole = (config: TrainConfig): boolean => config.folds !== null && config.fold === null;

/** The folds that were begun. The stand-in keeps no runs for them. */
export function foldsOf({ run, steps, total }: FakeRun): FoldProgress[] {
  const { folds } = run.config;
  if (!isWhole(run.config) || folds === null || run.status === "queued") return [];
  const each = Math.ceil(total / folds);
  const begun = Math.min(folds, Math.floor(steps.length / each) + 1);
  return Array.from({ length: begun }, (_, place) => {
    const step = Math.min(each, steps.length - place * each);
    const status = step === each || run.status === "finished" ? "finished" : run.status;
    return { fold: place + 1, run: run.id + place + 1, status, step, total_steps: each };
  });
}

export function createRun(
  id: number,
  config: TrainConfig,
  data: DataSet,
  balance: Held,
  estimate: Estimate | null = null,
): FakeRun {
  const valid = Math.round(data.examples * config.validation_fraction);
  const train = data.examples - valid;
  const held = new Map<Axis, [number, number]>();
  for (const axis of config.axes) {
    const [first, second] = balance.get(axis) ?? [1, 1];
    const firstHeld = Math.round((valid * first) / (first + second));
    held.set(axis, [firstHeld, valid - firstHeld]);
  }
  const authors = data.authors;
  const total = stepsOf(config, train);
  const given = config.valid !== null;
  const byText = authors === null || config.split_by === "text";
  const run: Run = {
    id,
    status: "queued",
    config,
    made_up: data.made_up,
    split: {
      method: given ? "given" : byText ? "by_text" : "by_author",
      seed: config.seed,
      train_examples: train,
      valid_examples: valid,
      train_authors: authors === null ? null : Math.round(authors * 0.8),
      valid_authors: authors === null ? null : authors - Math.round(authors * 0.8),
      shared_authors: given ? 3 : 0,
    },
    created_at: new Date().toISOString(),
    started_at: null,
    finished_at: null,
    train_seconds: null,
    total_steps: isWhole(config) ? null : total,
    last_step: null,
    axes: {},
    tokens_per_second: null,
    peak_rss_mib: null,
    failure: null,
    model_folder: null,
    stop_requested: false,
    pause_requested: false,
    paused: false,
    estimate,
    baseline: null,
    assessment: null,
    best_step: null,
    optimizer_mib: null,
    origins: { model: null, data: null, valid: null },
    pushed: null,
    used_device: null,
    collapse: [],
    fold_of: null,
    cross_validation: null,
  };
  return { run, steps: [], evaluations: [], notices: [], held, adapter: false, total, stopNow: false, device: null };
}

/** Goes on by one step, and ends or waits where the real thing would. */
export function advance(fake: FakeRun): void {
  const { run } = fake;
  if (run.status === "queued") {
    run.status = "running";
    run.started_at ??= new Date().toISOString();
    run.used_device = usedDevice(fake.device ?? run.config.device);
    if (run.config.dtype === "bf16_mixed") fake.notices.push({ step: 0, problem: problem("no_bf16_products") });
    if (run.config.dtype === "tf32") fake.notices.push({ step: 0, problem: problem("no_tf32") });
    return;
  }
  if (run.status !== "running") return;
  if (run.stop_requested && fake.stopNow) {
    end(fake, "stopped");
    return;
  }
  if (run.pause_requested && !run.stop_requested) {
    run.paused = true;
    return;
  }
  run.paused = false;
  learn(fake);
}

/** The processor, as the one graphics card cannot be used. */
export function usedDevice(asked: string): UsedDevice {
  const [cpu, gpu] = FAKE_DEVICES;
  const passedOver = asked === "auto" ? gpu : undefined;
  return {
    device: "cpu",
    name: cpu?.name ?? "",
    gpu: passedOver?.name ?? null,
    why_not_gpu: passedOver?.unusable ?? null,
  };
}

function learn(fake: FakeRun): void {
  const { run, steps, total } = fake;
  const number = steps.length + 1;
  const perStep = run.config.per_device_train_batch_size * run.config.gradient_accumulation_steps;
  const noise = (hash(`${run.id} ${number}`) % 1000) / 1000 - 0.5;
  const step: Step = {
    step: number,
    epoch: (number * perStep) / (run.split?.train_examples ?? 1),
    loss: 0.45 + 0.27 * Math.exp((-3 * number) / total) + noise * 0.14,
    learning_rate: 0.001 * (1 - number / total),
    grad_norm: 1.3 + noise * 0.6,
    samples_per_second: 92 + noise * 8,
    tokens_per_second: 7400 + noise * 500,
    seconds_left: (total - number) * SECONDS_A_STEP,
    memory_mib: 388 + noise * 10,
  };
  steps.push(step);
  run.last_step = isWhole(run.config) ? null : step;
  run.tokens_per_second = step.tokens_per_second;
  const every = run.config.eval_steps ?? Math.max(1, Math.floor(total / 10));
  if (number % every === 0 || number === total || run.stop_requested) evaluate(fake, number / total);
  if (run.stop_requested) end(fake, "stopped");
  else if (number >= total) end(fake, "finished");
}

export function end(fake: FakeRun, status: "finished" | "stopped" | "interrupted" | "failed"): void {
  const { run, steps, held } = fake;
  run.status = status;
  run.paused = false;
  run.pause_requested = false;
  const told = status !== "interrupted";
  run.finished_at = told ? new Date().toISOString() : null;
  run.train_seconds = told ? steps.length * SECONDS_A_STEP : null;
  run.peak_rss_mib = told ? 412.6 : null;
  run.optimizer_mib = told ? 33.5 : null;
  if (status === "failed") {
    const params = { step: String(steps.length), rows: "17, 204, 311", checkpoint: String(fake.evaluations.at(-1)?.step ?? 0) };
    run.failure = problem("loss_not_finite", params);
  }
  if (isWhole(run.config)) {
    if (status === "finished") run.cross_validation = crossValidationOf(run, held, run.split?.valid_authors ?? null);
    return;
  }
  const saved = (status === "finished" || status === "stopped") && !fake.stopNow;
  if (!saved) return;
  run.model_folder = `/home/you/.mbti-tuner/runs/${run.id}/model`;
  fake.adapter = run.config.trainable === "lora";
  const best = fake.evaluations.at(-2)?.step ?? null;
  run.best_step = status === "finished" && run.config.load_best_model_at_end ? best : null;
  const authors = run.split?.valid_authors ?? null;
  run.assessment = assess(held, authors, run.best_step ?? steps.length);
  if (run.config.model !== "words") {
    run.baseline = { seconds: 1.8, assessment: assess(held, authors, steps.length, true) };
  }
}

/** Whether a run ended early with something to go on from. */
export function isResumable({ run, evaluations }: FakeRun): boolean {
  return ["stopped", "interrupted", "failed"].includes(run.status) && (evaluations.length > 0 || isWhole(run.config));
}

/** Ends a run as a graphics card does that fails in the middle of it. */
export function loseDevice(fake: FakeRun): void {
  end(fake, "interrupted");
  const reason = "unspecified launch failure (CUDA_ERROR_LAUNCH_FAILED)";
  fake.run.failure = problem("device_lost", { device: "cuda:0", reason });
  fake.run.used_device = { device: "cuda:0", name: "Example graphics card", gpu: null, why_not_gpu: null };
}

export function resume(fake: FakeRun, device: string | null): void {
  const { run } = fake;
  Object.assign(run, { finished_at: null, train_seconds: null, peak_rss_mib: null, optimizer_mib: null });
  Object.assign(run, { failure: null, assessment: null, baseline: null, best_step: null, stop_requested: false });
  run.status = "queued";
  fake.stopNow = false;
  fake.device = device;
}

function evaluate(fake: FakeRun, done: number): void {
  const axes: Evaluation["axes"] = {};
  for (const [axis, held] of fake.held) axes[axis] = metricsOf(confusionOf(held, SKILLS[axis] * (0.3 + 0.7 * done)));
  fake.evaluations.push({ step: fake.steps.length, loss: 0.52 + 0.17 * Math.exp(-2.5 * done), axes });
  fake.run.axes = axes;
}
