/**
 * Numbers, dates and durations as a language writes them. Each function takes the language
 * first; the components pass `language()`, so that they are written anew when it is switched.
 */

/** What stands for a metric that has no value. */
export const NO_VALUE = "—";
/** The same in a table, where it is set off by itself. */
export const NO_VALUE_SHORT = "–";

export function formatNumber(locale: string, value: number | null, digits = 0): string {
  if (value === null || !Number.isFinite(value)) return NO_VALUE;
  return new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

/** A number with as many digits as it needs, such as 0.00002 for a learning rate. */
export function formatSignificant(locale: string, value: number | null, digits = 3): string {
  if (value === null || !Number.isFinite(value)) return NO_VALUE;
  return new Intl.NumberFormat(locale, { maximumSignificantDigits: digits }).format(value);
}

export function formatPercent(locale: string, value: number | null, digits = 0): string {
  if (value === null || !Number.isFinite(value)) return NO_VALUE;
  return new Intl.NumberFormat(locale, {
    style: "percent",
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(value);
}

/** How a number beyond the last written percent is told from exactly 0 % or 100 %. */
export interface Bounds {
  above: (value: string) => string;
  below: (value: string) => string;
}

/** A probability in whole percent. It never reads 100 % or 0 %, which no model can know. */
export function formatProbability(locale: string, value: number, bounds: Bounds): string {
  if (value > 0.99) return bounds.above(formatPercent(locale, 0.99));
  if (value < 0.01) return bounds.below(formatPercent(locale, 0.01));
  return formatPercent(locale, value);
}

export function formatDate(locale: string, iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }).format(date);
}

/** Without the year while it is this one: for tables, where room is short. */
export function formatShortDate(locale: string, iso: string, now: number): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const sameYear = date.getFullYear() === new Date(now).getFullYear();
  return new Intl.DateTimeFormat(locale, {
    ...(sameYear ? {} : { year: "numeric" }),
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).format(date);
}

/** The two greatest units that matter: "2 hr 5 min", "1 min 3 sec", "4.2 sec". */
export function formatDuration(locale: string, seconds: number | null): string {
  if (seconds === null || !Number.isFinite(seconds) || seconds < 0) return NO_VALUE;
  if (seconds < 9.95) return unit(locale, "second", seconds, seconds < 0.05 ? 0 : 1);
  const whole = Math.round(seconds);
  if (whole < 60) return unit(locale, "second", whole);
  if (whole < 3600) return pair(locale, [Math.floor(whole / 60), "minute"], [whole % 60, "second"]);
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return pair(locale, [Math.floor(minutes / 60), "hour"], [minutes % 60, "minute"]);
  const hours = Math.round(seconds / 3600);
  return pair(locale, [Math.floor(hours / 24), "day"], [hours % 24, "hour"]);
}

export function formatMilliseconds(locale: string, milliseconds: number): string {
  if (milliseconds >= 1000) return formatDuration(locale, milliseconds / 1000);
  return unit(locale, "millisecond", milliseconds, milliseconds < 10 ? 1 : 0);
}

const BYTE_UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;

export function formatBytes(locale: string, bytes: number): string {
  let value = bytes;
  let place = 0;
  while (value >= 999.5 && place < BYTE_UNITS.length - 1) {
    value /= 1000;
    place += 1;
  }
  return unit(locale, BYTE_UNITS[place]!, value, place > 0 && value < 9.95 ? 1 : 0);
}

/** Memory as the system counts it, in the units that are named alike in both languages. */
export function formatMemory(locale: string, mebibytes: number | null): string {
  if (mebibytes === null || !Number.isFinite(mebibytes)) return NO_VALUE;
  // Whatever is more than nothing reads as more than nothing.
  if (mebibytes > 0 && mebibytes < 1) {
    const kibibytes = mebibytes * 1024;
    return `${formatNumber(locale, kibibytes, kibibytes < 9.95 ? 1 : 0)} KiB`;
  }
  if (mebibytes < 1024) return `${formatNumber(locale, mebibytes, mebibytes < 9.95 ? 1 : 0)} MiB`;
  const gibibytes = mebibytes / 1024;
  return `${formatNumber(locale, gibibytes, gibibytes < 99.95 ? 1 : 0)} GiB`;
}

/** 4.4M or 440万: a number of weights, of which only the size matters. */
export function formatCompact(locale: string, value: number): string {
  return new Intl.NumberFormat(locale, { notation: "compact", maximumSignificantDigits: 3 }).format(value);
}

type Part = [value: number, unit: string];

function pair(locale: string, greater: Part, lesser: Part): string {
  const first = unit(locale, greater[1], greater[0]);
  return lesser[0] === 0 ? first : `${first} ${unit(locale, lesser[1], lesser[0])}`;
}

function unit(locale: string, name: string, value: number, digits = 0): string {
  return new Intl.NumberFormat(locale, {
    style: "unit",
    unit: name,
    unitDisplay: "short",
    maximumFractionDigits: digits,
  }).format(value);
}
