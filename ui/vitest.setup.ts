import { cleanup, configure } from "@testing-library/svelte";
import { afterEach, vi } from "vitest";

// What is waited for comes in milliseconds here and in many seconds on a machine that has other work: how long is waited
// decides only when a test that fails gives up.
configure({ asyncUtilTimeout: 30_000 });

// There is no canvas under test; what the charts draw is looked at in a browser.
vi.mock("uplot", () => ({
  default: class {
    setData(): void {}
    setSize(): void {}
    destroy(): void {}
  },
}));

// Nothing has a size under test, and no size ever changes.
globalThis.ResizeObserver = class {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
};

afterEach(() => {
  cleanup();
  localStorage.clear();
});
