import type { Problem } from "./types/Problem";

export function isProblem(value: unknown): value is Problem {
  return (
    typeof value === "object" &&
    value !== null &&
    "code" in value &&
    typeof value.code === "string" &&
    "message" in value &&
    typeof value.message === "string" &&
    "params" in value &&
    typeof value.params === "object" &&
    value.params !== null
  );
}

/** A problem stays what it is; anything else that was thrown becomes an internal one. */
export function toProblem(error: unknown): Problem {
  if (isProblem(error)) return error;
  return { code: "internal", params: {}, message: messageOf(error) };
}

function messageOf(error: unknown): string {
  if (error instanceof Error) return error.stack?.includes(error.message) ? error.stack : `${error.name}: ${error.message}`;
  if (typeof error === "string") return error;
  try {
    return JSON.stringify(error) ?? String(error);
  } catch {
    return String(error);
  }
}
