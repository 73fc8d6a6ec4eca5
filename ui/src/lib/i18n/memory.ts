import { formatMemory } from "../format";

/** An amount of memory that Rust sent in MiB, with its unit; digits and units are alike in both languages. */
export function memoryText(mebibytes: string | undefined): string {
  const number = Number(mebibytes ?? Number.NaN);
  return Number.isFinite(number) ? formatMemory("en", number) : (mebibytes ?? "—");
}
