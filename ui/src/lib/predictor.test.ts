import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Prediction } from "./backend/types/Prediction";
import { createPredictor } from "./predictor";

interface Call {
  text: string;
  answer: () => Promise<void>;
  fail: (error: unknown) => Promise<void>;
}

function setUp() {
  const calls: Call[] = [];
  const shown: (string | null)[] = [];
  const errors: unknown[] = [];
  const busy: boolean[] = [];
  const settle = () => vi.advanceTimersByTimeAsync(0);
  const predictor = createPredictor({
    predict: (_run, text) =>
      new Promise<Prediction>((resolve, reject) => {
        calls.push({
          text,
          answer: () => (resolve({ type: text } as Prediction), settle().then(() => {})),
          fail: (error) => (reject(error), settle().then(() => {})),
        });
      }),
    onPrediction: (prediction) => shown.push(prediction?.type ?? null),
    onError: (error) => errors.push(error),
    onBusy: (now) => busy.push(now),
    delay: 250,
  });
  return { predictor, calls, shown, errors, busy };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("the predictor", () => {
  it("waits for a pause and sends only the newest text", async () => {
    const { predictor, calls, shown } = setUp();
    for (const text of ["a", "ab", "abc"]) {
      predictor.ask(1, text);
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(calls).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(150);
    expect(calls.map((call) => call.text)).toEqual(["abc"]);
    await calls[0]!.answer();
    expect(shown).toEqual(["abc"]);
  });

  it("drops an answer that is late, and keeps one question in flight", async () => {
    const { predictor, calls, shown, busy } = setUp();
    predictor.ask(1, "old");
    await vi.advanceTimersByTimeAsync(250);
    predictor.ask(1, "newer");
    await vi.advanceTimersByTimeAsync(250);
    predictor.ask(1, "newest");
    await vi.advanceTimersByTimeAsync(250);
    expect(calls).toHaveLength(1);
    await calls[0]!.answer();
    expect(shown).toEqual([]);
    expect(calls.map((call) => call.text)).toEqual(["old", "newest"]);
    await calls[1]!.answer();
    expect(shown).toEqual(["newest"]);
    expect(busy.at(-1)).toBe(false);
  });

  it("shows nothing for an emptied text, whatever is still under way", async () => {
    const { predictor, calls, shown } = setUp();
    predictor.ask(1, "text");
    await vi.advanceTimersByTimeAsync(250);
    predictor.ask(1, "  \n");
    await calls[0]!.answer();
    expect(shown).toEqual([null]);
    expect(calls).toHaveLength(1);
  });

  it("asks nothing without a run", async () => {
    const { predictor, calls, shown } = setUp();
    predictor.ask(null, "text");
    await vi.advanceTimersByTimeAsync(1000);
    expect(calls).toHaveLength(0);
    expect(shown).toEqual([null]);
  });

  it("tells the newest question's error alone, and goes on", async () => {
    const { predictor, calls, shown, errors } = setUp();
    predictor.ask(1, "old");
    await vi.advanceTimersByTimeAsync(250);
    predictor.ask(1, "new");
    await vi.advanceTimersByTimeAsync(250);
    await calls[0]!.fail("late");
    expect(errors).toEqual([]);
    await calls[1]!.fail("now");
    expect(errors).toEqual(["now"]);
    predictor.ask(1, "again");
    await vi.advanceTimersByTimeAsync(250);
    await calls[2]!.answer();
    expect(shown).toEqual(["again"]);
  });

  it("is silent once closed", async () => {
    const { predictor, calls, shown } = setUp();
    predictor.ask(1, "text");
    await vi.advanceTimersByTimeAsync(250);
    predictor.close();
    await calls[0]!.answer();
    expect(shown).toEqual([]);
  });
});
