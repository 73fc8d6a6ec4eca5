import { hash, problem } from "./fake-data";
import type { Axis } from "./types/Axis";
import type { AxisMetrics } from "./types/AxisMetrics";
import type { DataSet } from "./types/DataSet";
import type { Evaluation } from "./types/Evaluation";
import type { Run } from "./types/Run";
import type { Step } from "./types/Step";
import type { TrainConfig } from "./types/TrainConfig";

/** A run of the stand-in: its record, and its curve up to now. */
export interface FakeRun {
  run: Run;
  steps: Step[];
  evaluations: Evaluation[];
  /** Texts of each letter among those held out. */
  held: Map<Axis, [number, number]>;
  adapter: boolean;
}

export function createRun(id: number, config: TrainConfig, data: DataSet, balance: FakeRun["held"]): FakeRun {
  const valid = Math.round(data.examples * config.validation_fraction);
  const train = data.examples - valid;
  const perStep = config.batch_size * config.gradient_accumulation_steps;
  const steps = Math.max(1, Math.ceil((train * config.epochs) / perStep));
  const held: FakeRun["held"] = new Map();
  for (const axis of config.axes) {
    const [first, second] = balance.get(axis) ?? [1, 1];
    const firstHeld = Math.round((valid * first) / (first + second));
    held.set(axis, [firstHeld, valid - firstHeld]);
  }
  const authors = data.authors;
  const given = config.valid !== null;
  const run: Run = {
    id,
    status: "queued",
    config,
    made_up: data.made_up,
    split: {
      method: given ? "given" : authors === null ? "by_text" : "by_author",
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
    total_steps: Math.min(steps, config.max_steps ?? steps),
    last_step: null,
    axes: {},
    tokens_per_second: null,
    peak_rss_mib: null,
    failure: null,
    model_folder: null,
    stop_requested: false,
  };
  return { run, steps: [], evaluations: [], held, adapter: false };
}

/** Goes on by one step, and ends where the real thing would. */
export function advance(fake: FakeRun): void {
  const { run, steps } = fake;
  if (run.status === "queued") {
    run.status = "running";
    run.started_at = new Date().toISOString();
    return;
  }
  if (run.status !== "running") return;
  const total = run.total_steps ?? 1;
  const number = steps.length + 1;
  const perStep = run.config.batch_size * run.config.gradient_accumulation_steps;
  const noise = (hash(`${run.id} ${number}`) % 1000) / 1000 - 0.5;
  const step: Step = {
    step: number,
    epoch: (number * perStep) / (run.split?.train_examples ?? 1),
    loss: 0.45 + 0.27 * Math.exp((-3 * number) / total) + noise * 0.14,
    learning_rate: 0.001 * (1 - number / total),
    samples_per_second: 92 + noise * 8,
    tokens_per_second: 7400 + noise * 500,
    seconds_left: (total - number) * 0.085,
  };
  steps.push(step);
  run.last_step = step;
  run.tokens_per_second = step.tokens_per_second;
  const every = run.config.eval_steps ?? Math.max(1, Math.floor(total / 10));
  if (number % every === 0 || number === total || run.stop_requested) evaluate(fake, number / total);
  if (run.stop_requested) end(fake, "stopped");
  else if (number >= total) end(fake, "finished");
}

export function end(fake: FakeRun, status: "finished" | "stopped" | "interrupted" | "failed"): void {
  const { run, steps } = fake;
  run.status = status;
  run.finished_at = status === "interrupted" ? null : new Date().toISOString();
  run.train_seconds = status === "interrupted" ? null : steps.length * 0.085;
  run.peak_rss_mib = status === "interrupted" ? null : 412.6;
  if (status === "finished" || status === "stopped") {
    run.model_folder = `/home/you/.mbti-tuner/runs/${run.id}/model`;
    fake.adapter = run.config.trainable === "lora";
  }
  if (status === "failed") run.failure = problem("loss_not_finite", { step: String(steps.length) });
}

function evaluate(fake: FakeRun, done: number): void {
  const axes: Evaluation["axes"] = {};
  for (const [axis, [first, second]] of fake.held) {
    // Each axis is learned to another degree: E-I well, N-S not at all.
    const skill = { "E-I": 0.75, "N-S": 0, "F-T": 0.5, "J-P": 0.12 }[axis] * (0.3 + 0.7 * done);
    const lean = second / (first + second);
    axes[axis] = metricsOf([
      answers(first, 1 - lean + skill * lean, false),
      answers(second, lean + skill * (1 - lean), true),
    ]);
  }
  fake.evaluations.push({ step: fake.steps.length, loss: 0.52 + 0.17 * Math.exp(-2.5 * done), axes });
  fake.run.axes = axes;
}

function answers(texts: number, recall: number, second: boolean): [number, number] {
  const right = Math.round(texts * recall);
  return second ? [texts - right, right] : [right, texts - right];
}

/** The metrics of one axis from its confusion counts, null where one has no value. */
export function metricsOf(confusion: AxisMetrics["confusion"]): AxisMetrics {
  const [[a, b], [c, d]] = confusion;
  const texts = a + b + c + d;
  const ratio = (part: number, whole: number) => (whole === 0 ? null : part / whole);
  const f1First = ratio(2 * a, 2 * a + b + c);
  const f1Second = ratio(2 * d, 2 * d + b + c);
  const recalls = [ratio(a, a + b), ratio(d, c + d)];
  const root = Math.sqrt((a + b) * (c + d) * (a + c) * (b + d));
  const mean = (left: number | null, right: number | null) =>
    left === null || right === null ? null : (left + right) / 2;
  return {
    accuracy: ratio(a + d, texts),
    f1: f1Second,
    macro_f1: mean(f1First, f1Second),
    balanced_accuracy: mean(recalls[0]!, recalls[1]!),
    mcc: ratio(a * d - b * c, root),
    majority_accuracy: ratio(Math.max(a + b, c + d), texts),
    confusion,
  };
}
