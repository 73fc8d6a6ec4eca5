import type { Axis } from "./backend/types/Axis";
import type { Letter } from "./backend/types/Letter";

/** All axes, in the order of the letters of a type. */
export const AXES: readonly Axis[] = ["E-I", "N-S", "F-T", "J-P"];

/** Class 0 and class 1: the letters as the axis names them. */
export function lettersOf(axis: Axis): [Letter, Letter] {
  return axis.split("-") as [Letter, Letter];
}

/** The sixteen types, in the order of their indices. */
export const TYPES: readonly string[] = AXES.reduce<string[]>(
  (types, axis) => types.flatMap((type) => lettersOf(axis).map((letter) => type + letter)),
  [""],
);
