import { describe, expect, it } from "vitest";
import { usableLanguage } from "./locale";

describe("the system's language", () => {
  it("is kept where it is a language", () => {
    expect(usableLanguage("zh-CN")).toBe("zh-CN");
    expect(usableLanguage("en")).toBe("en");
  });

  it("is English where the system has none, so that Intl does not throw", () => {
    for (const none of ["C", "POSIX", "", "c.utf8"]) {
      expect(() => new Intl.NumberFormat(usableLanguage(none))).not.toThrow();
    }
  });
});
