import { cleanup } from "@testing-library/svelte";
import { afterEach, vi } from "vitest";

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
