import type { AxisPrediction } from "./backend/types/AxisPrediction";

/** Below this probability the model says as good as nothing, and the window says so. */
const COIN_TOSS = 0.55;

export function isCoinToss(prediction: AxisPrediction | undefined): boolean {
  return prediction !== undefined && prediction.probability < COIN_TOSS;
}
