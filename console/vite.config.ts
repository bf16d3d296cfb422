import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

import { compressed } from "./build/compressed.ts";
import { earlyTheme } from "./build/early-theme.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const engine = process.env["III_CONSOLE"] ?? "http://127.0.0.1:3113";

export default defineConfig({
  plugins: [react(), earlyTheme(readFileSync(here("src/early-theme.js"), "utf8")), compressed()],
  build: {
    outDir: here("../src/iii/console/assets"),
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // data: URLs are refused by the content security policy
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        entryFileNames: "assets/[name]-[hash].js",
        chunkFileNames: "assets/[name]-[hash].js",
        assetFileNames: "assets/[name]-[hash][extname]",
      },
    },
  },
  server: { proxy: { "/api": { target: engine, ws: true, changeOrigin: true } } },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
} as Parameters<typeof defineConfig>[0]);
