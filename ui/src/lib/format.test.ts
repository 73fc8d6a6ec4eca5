import { describe, expect, it } from "vitest";
import {
  formatBytes,
  formatCompact,
  formatDate,
  formatDuration,
  formatMemory,
  formatMilliseconds,
  formatNumber,
  formatPercent,
  formatProbability,
  formatShortDate,
  formatSignificant,
} from "./format";

const bounds = { above: (value: string) => `over ${value}`, below: (value: string) => `under ${value}` };

describe("numbers", () => {
  it("are grouped, and a missing one is a dash", () => {
    expect(formatNumber("en", 12345.678, 1)).toBe("12,345.7");
    expect(formatNumber("en", null)).toBe("—");
    expect(formatNumber("en", NaN)).toBe("—");
    expect(formatSignificant("en", 0.00002)).toBe("0.00002");
    expect(formatCompact("en", 4_386_000)).toBe("4.39M");
    expect(formatCompact("zh", 4_386_000)).toBe("439万");
  });

  it("are percentages where they are shares", () => {
    expect(formatPercent("en", 0.7251, 1)).toBe("72.5%");
    expect(formatPercent("zh", 0.5)).toBe("50%");
    expect(formatPercent("en", null)).toBe("—");
  });

  it("never claim to be certain", () => {
    expect(formatProbability("en", 0.9999, bounds)).toBe("over 99%");
    expect(formatProbability("en", 0.0001, bounds)).toBe("under 1%");
    expect(formatProbability("en", 0.534, bounds)).toBe("53%");
    expect(formatProbability("en", 1, bounds)).toBe("over 99%");
  });
});

describe("durations", () => {
  it.each([
    [0, "0 sec"],
    [4.24, "4.2 sec"],
    [42, "42 sec"],
    [59.7, "1 min"],
    [63, "1 min 3 sec"],
    [3600, "1 hr"],
    [7530, "2 hr 6 min"],
    [3599.9, "1 hr"],
    [90_000, "1 day 1 hr"],
    [null, "—"],
    [Infinity, "—"],
  ])("%s seconds read %s", (seconds, text) => {
    expect(formatDuration("en", seconds)).toBe(text);
  });

  it("are Chinese in Chinese", () => {
    expect(formatDuration("zh", 63)).toContain("分钟");
    expect(formatMilliseconds("en", 1.44)).toBe("1.4 ms");
    expect(formatMilliseconds("en", 2400)).toBe("2.4 sec");
  });
});

describe("dates and sizes", () => {
  it("are written as the language writes them", () => {
    expect(formatDate("en", "2026-03-04T05:06:07Z")).toContain("2026");
    expect(formatDate("zh", "2026-03-04T05:06:07Z")).toContain("2026年3月");
    expect(formatDate("en", "not a date")).toBe("not a date");
  });

  it("leave out the year only while it is this one", () => {
    const now = Date.parse("2026-06-01T00:00:00Z");
    expect(formatShortDate("en", "2026-03-04T05:06:07Z", now)).not.toContain("2026");
    expect(formatShortDate("en", "2024-03-04T05:06:07Z", now)).toContain("2024");
    expect(formatShortDate("en", "?", now)).toBe("?");
  });

  it("have the unit that fits", () => {
    expect(formatBytes("en", 900)).toBe("900 byte");
    expect(formatBytes("en", 188_000)).toBe("188 kB");
    expect(formatBytes("en", 999_900)).toBe("1 MB");
    expect(formatBytes("en", 4_400_000)).toBe("4.4 MB");
  });
});

describe("memory", () => {
  it.each([
    [0, "0.0 MiB"],
    [0.0002, "0.2 KiB"],
    [0.01, "10 KiB"],
    [1, "1.0 MiB"],
    [4.26, "4.3 MiB"],
    [412.6, "413 MiB"],
    [1024, "1.0 GiB"],
    [7430, "7.3 GiB"],
    [204_800, "200 GiB"],
    [null, "—"],
  ])("of %s MiB is %s in both languages", (value, text) => {
    expect(formatMemory("en", value)).toBe(text);
    expect(formatMemory("zh", value)).toBe(text);
  });
});
