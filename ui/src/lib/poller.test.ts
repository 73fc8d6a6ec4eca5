import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createFake, FAKE_DEFAULTS } from "./backend/fake";
import type { RunProgress } from "./backend/types/RunProgress";
import { EMPTY_CURVE, extended, nextAfterStep, smoothed, type Curve } from "./curve";
import { pollRun } from "./poller";

async function setUp() {
  const fake = createFake({ startingPoint: "data" });
  const run = await fake.startTraining({ ...FAKE_DEFAULTS, data: "made-up", model: "words", max_steps: 30 });
  const showRun = vi.fn(fake.showRun);
  const seen: { status: string; curve: Curve }[] = [];
  const errors: unknown[] = [];
  const onEnd = vi.fn();
  const onRecovered = vi.fn();
  const close = pollRun({
    showRun,
    run,
    onProgress: (progress, curve) => seen.push({ status: progress.run.status, curve }),
    onError: (error) => errors.push(error),
    onEnd,
    onRecovered,
  });
  await vi.advanceTimersByTimeAsync(0);
  return { fake, run, showRun, seen, errors, onEnd, onRecovered, close };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("the poller", () => {
  it("fetches only what is new, and each point once", async () => {
    const { fake, run, showRun, seen } = await setUp();
    fake.tick(11);
    await vi.advanceTimersByTimeAsync(500);
    fake.tick(5);
    await vi.advanceTimersByTimeAsync(500);
    expect(showRun.mock.calls).toEqual([[run, 0], [run, 0], [run, 9]]);
    const steps = seen.at(-1)!.curve.steps.map((step) => step.step);
    expect(steps).toEqual(Array.from({ length: 15 }, (_, index) => index + 1));
  });

  it("stops when the run is over, with all of it", async () => {
    const { fake, showRun, seen, onEnd } = await setUp();
    fake.tick(100);
    await vi.advanceTimersByTimeAsync(500);
    expect(seen.at(-1)!.status).toBe("finished");
    expect(seen.at(-1)!.curve.steps).toHaveLength(30);
    expect(seen.at(-1)!.curve.evaluations.at(-1)!.step).toBe(30);
    expect(onEnd).toHaveBeenCalledOnce();
    const calls = showRun.mock.calls.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(showRun.mock.calls).toHaveLength(calls);
  });

  it("survives polls that fail, ever less often, and says when it is well again", async () => {
    const { fake, showRun, seen, errors, onRecovered } = await setUp();
    showRun.mockRejectedValueOnce("one").mockRejectedValueOnce("two");
    await vi.advanceTimersByTimeAsync(500);
    expect(errors).toEqual(["one"]);
    await vi.advanceTimersByTimeAsync(999);
    expect(errors).toEqual(["one"]);
    await vi.advanceTimersByTimeAsync(1);
    expect(errors).toEqual(["one", "two"]);
    fake.tick(3);
    await vi.advanceTimersByTimeAsync(2000);
    expect(onRecovered).toHaveBeenCalledOnce();
    expect(seen.at(-1)!.curve.steps).toHaveLength(2);
  });

  it("gives up on a run that was removed", async () => {
    const { showRun, errors } = await setUp();
    showRun.mockRejectedValueOnce({ code: "unknown_run", params: {}, message: "" });
    await vi.advanceTimersByTimeAsync(500);
    const calls = showRun.mock.calls.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(showRun.mock.calls).toHaveLength(calls);
    expect(errors).toHaveLength(1);
  });

  it("never has two polls under way", async () => {
    const { showRun, close } = await setUp();
    let answer = (_: RunProgress) => {};
    showRun.mockImplementationOnce(() => new Promise((resolve) => (answer = resolve)));
    await vi.advanceTimersByTimeAsync(30_000);
    expect(showRun).toHaveBeenCalledTimes(2);
    close();
    answer({ run: {} as never, steps: [], evaluations: [], adapter: false, resumable: false, notices: [], folds: [] });
    await vi.advanceTimersByTimeAsync(30_000);
    expect(showRun).toHaveBeenCalledTimes(2);
  });
});

describe("the curve", () => {
  const step = (number: number) => ({ step: number }) as Curve["steps"][number];
  const evaluation = (number: number) => ({ step: number, loss: null, axes: {} });
  const sent = (steps: number[], evaluations: number[]): RunProgress => ({
    run: {} as never,
    steps: steps.map(step),
    evaluations: evaluations.map(evaluation),
    adapter: false,
    resumable: false,
    notices: [],
    folds: [],
  });

  it("does not miss the evaluation that comes after its step", () => {
    let curve = extended(EMPTY_CURVE, sent([1, 2, 3], []));
    expect(nextAfterStep(curve)).toBe(2);
    curve = extended(curve, sent([3, 4], [3]));
    expect(curve.steps.map((point) => point.step)).toEqual([1, 2, 3, 4]);
    expect(curve.evaluations.map((point) => point.step)).toEqual([3]);
  });

  it("is the same object where nothing was new", () => {
    const curve = extended(EMPTY_CURVE, sent([1], [1]));
    const again = extended(curve, sent([1], [1]));
    expect(again.steps).toBe(curve.steps);
  });

  it("is smoothed from its first value on", () => {
    expect(smoothed([2, 2, 2])).toEqual([2, 2, 2].map((value) => expect.closeTo(value, 12)));
    expect(smoothed([])).toEqual([]);
  });
});
