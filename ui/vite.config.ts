import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

export default defineConfig(({ mode }) => ({
  plugins: [svelte()],
  // The files are served under tauri://, whose root may differ, so that addresses are relative.
  base: "./",
  // Under test the browser build of Svelte is wanted, which alone can mount a component.
  resolve: mode === "test" ? { conditions: ["browser"] } : {},
  build: {
    outDir: "dist",
    emptyOutDir: true,
    // The polyfill fetches, which the content security policy would refuse.
    modulePreload: { polyfill: false },
    // A data: address for a font or script would be refused by the policy as well.
    assetsInlineLimit: 0,
  },
  server: { port: 5173, strictPort: true },
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.ts"],
    setupFiles: ["./vitest.setup.ts"],
    restoreMocks: true,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
}));
