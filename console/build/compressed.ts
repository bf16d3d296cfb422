import { brotliCompressSync, constants, gzipSync } from "node:zlib";

import type { Plugin } from "vite";

const FIRST_LOAD_LIMIT_BYTES = 350 * 1024;
const SMALL_BYTES = 1024;

/** Every text file a second time as .br and .gz, so that the server compresses nothing; and the first load is measured:
 * the entry, what it imports at once, and its style sheets. */
export function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    enforce: "post",
    generateBundle: {
      order: "post",
      handler(_options, bundle) {
        const brotliBytes = new Map<string, number>();
        for (const [name, file] of Object.entries(bundle)) {
          const content = Buffer.from(file.type === "chunk" ? file.code : file.source);
          if (name.endsWith(".html") || !/\.(js|css|svg|json)$/.test(name)) continue;
          const brotli = brotliCompressSync(content, {
            params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length },
          });
          brotliBytes.set(name, brotli.length);
          if (content.length < SMALL_BYTES) continue;
          this.emitFile({ type: "asset", fileName: `${name}.br`, source: brotli });
          this.emitFile({ type: "asset", fileName: `${name}.gz`, source: gzipSync(content, { level: 9 }) });
        }
        const first = new Set<string>();
        const visit = (name: string): void => {
          const file = bundle[name];
          if (first.has(name) || file?.type !== "chunk") return;
          first.add(name);
          file.imports.forEach(visit);
        };
        for (const [name, file] of Object.entries(bundle)) if (file.type === "chunk" && file.isEntry) visit(name);
        for (const name of brotliBytes.keys()) if (/assets\/index-.*\.css$/.test(name)) first.add(name);
        const total = [...first].reduce((sum, name) => sum + (brotliBytes.get(name) ?? 0), 0);
        console.log(`first load: ${(total / 1024).toFixed(1)} KiB compressed (${[...first].join(", ")})`);
        if (total > FIRST_LOAD_LIMIT_BYTES) throw new Error(`the first load exceeds the limit of ${FIRST_LOAD_LIMIT_BYTES} bytes`);
      },
    },
  };
}
