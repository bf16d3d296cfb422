import type { Plugin } from "vite";

/** A script that runs before the first paint, so that the chosen theme never flashes. A strict content security
 * policy refuses it inline; so it is a small file of its own, with its hash in the name. */
export function earlyTheme(source: string): Plugin {
  return {
    name: "early-theme",
    apply: "build",
    buildStart() {
      this.emitFile({ type: "asset", name: "theme.js", source });
    },
    transformIndexHtml: {
      order: "post",
      handler(_html, context) {
        const asset = Object.values(context.bundle ?? {}).find((file) => file.type === "asset" && file.names.includes("theme.js"));
        if (!asset) throw new Error("the theme script is not in the bundle");
        return [{ tag: "script", attrs: { src: `/${asset.fileName}` }, injectTo: "head-prepend" }];
      },
    },
  };
}
