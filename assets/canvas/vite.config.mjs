// One ES module with its CSS inside: NiceGUI loads one file per component. `vue` stays outside, NiceGUI's import map has it.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

const cssInside = () => ({
  name: "css-inside",
  apply: "build",
  enforce: "post",
  generateBundle(_, bundle) {
    const sheets = Object.keys(bundle).filter((name) => name.endsWith(".css"));
    const css = JSON.stringify(sheets.map((name) => bundle[name].source).join("\n"));
    for (const name of sheets) delete bundle[name];
    const entry = Object.values(bundle).find((chunk) => chunk.type === "chunk" && chunk.isEntry);
    entry.code = `{const s=document.createElement("style");s.id="flow-canvas-css";s.textContent=${css};document.getElementById(s.id)||document.head.appendChild(s)}\n${entry.code}`;
  },
});

// The licences of what ends up in the bundle ask to travel with it; libraries come with their own dependencies built in.
const ROOT = join(import.meta.dirname, "node_modules");
const about = (name) => JSON.parse(readFileSync(join(ROOT, name, "package.json"), "utf8"));
const withTheirs = (names, found = new Set()) => {
  for (const name of names)
    if (!["vue", "vue-demi"].includes(name) && !name.startsWith("@types/") && !found.has(name) && existsSync(join(ROOT, name)))
      withTheirs(Object.keys(about(found.add(name) && name).dependencies ?? {}), found);
  return found;
};
const licences = () => ({
  name: "licences",
  apply: "build",
  generateBundle(_, bundle) {
    const files = Object.values(bundle).flatMap((chunk) => Object.keys(chunk.modules ?? {}));
    const used = new Set(files.map((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file.replaceAll("\\", "/"))?.[1]).filter(Boolean));
    const texts = [...withTheirs(used)].sort().map((name) => {
      const { version, license } = about(name);
      const file = readdirSync(join(ROOT, name)).sort().find((entry) => /^licen[cs]e/i.test(entry));
      return `${name} ${version} (${license})\n\n${file ? readFileSync(join(ROOT, name, file), "utf8").trim() : ""}`.trim();
    });
    this.emitFile({ type: "asset", fileName: "licences.txt", source: `${texts.join(`\n\n${"-".repeat(72)}\n\n`)}\n` });
  },
});

export default defineConfig({
  plugins: [vue(), licences(), cssInside()],
  define: { "process.env.NODE_ENV": '"production"', __VUE_PROD_DEVTOOLS__: "false", __VUE_OPTIONS_API__: "true" },
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    cssCodeSplit: false,
    lib: { entry: "src/index.js", formats: ["es"], fileName: () => "flow_canvas.js" },
    rolldownOptions: { external: ["vue"], output: { minify: true } },
  },
});
