import type { Dictionary } from "./en";
import { fill } from "./fill";
import { memoryText } from "./memory";

/** Why a GPU cannot be used, as the end of a sentence. A reason that this window does not know yet is named by its kind. */
export function unusableText(dictionary: Dictionary, reason: Readonly<Record<string, string | undefined>>): string {
  const { kind = "—", ...rest } = reason;
  const params: Record<string, string> = {};
  for (const [name, value] of Object.entries(rest)) if (value !== undefined) params[name] = value;
  if (kind === "too_little_memory") for (const name of ["needed", "free"]) params[name] = memoryText(params[name]);
  const known: Readonly<Record<string, string>> = dictionary.unusables;
  // Where the system tells no version of the driver, it is known by the newest CUDA that it supports.
  if (kind === "old_driver" && params["found"]?.startsWith("CUDA ")) return fill("en", dictionary.window.old_driver_cuda, params);
  return Object.hasOwn(known, kind) ? fill("en", known[kind]!, params) : kind;
}
