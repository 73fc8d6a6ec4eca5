import type { Prediction } from "./backend/types/Prediction";

export interface PredictorOptions {
  predict: (run: number, text: string) => Promise<Prediction>;
  /** Called with null when there is nothing to predict from. */
  onPrediction: (prediction: Prediction | null) => void;
  onError: (error: unknown) => void;
  onBusy?: (busy: boolean) => void;
  /** Milliseconds of quiet before a text is sent. */
  delay?: number;
}

export interface Predictor {
  ask(run: number | null, text: string): void;
  close(): void;
}

/**
 * Predicts as one types. A text is sent after a pause, one at a time, and an answer counts
 * only if nothing was typed since: the newest text's answer is always the last one shown.
 */
export function createPredictor(options: PredictorOptions): Predictor {
  const { predict, onPrediction, onError, onBusy = () => {}, delay = 250 } = options;
  let newest = 0;
  let waiting: { run: number; text: string } | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let inFlight = false;

  function ask(run: number | null, text: string): void {
    newest += 1;
    clearTimeout(timer);
    waiting = null;
    if (run === null || text.trim() === "") {
      onBusy(false);
      onPrediction(null);
      return;
    }
    onBusy(true);
    const question = { run, text };
    timer = setTimeout(() => {
      waiting = question;
      // One in flight is enough; the newest question follows when it has come back.
      if (!inFlight) void send();
    }, delay);
  }

  async function send(): Promise<void> {
    inFlight = true;
    while (waiting) {
      const { run, text } = waiting;
      const number = newest;
      waiting = null;
      try {
        const prediction = await predict(run, text);
        if (number === newest) settle(() => onPrediction(prediction));
      } catch (error) {
        if (number === newest) settle(() => onError(error));
      }
    }
    inFlight = false;
  }

  function settle(show: () => void): void {
    onBusy(false);
    show();
  }

  function close(): void {
    newest += 1;
    waiting = null;
    clearTimeout(timer);
  }

  return { ask, close };
}
