// Builds dist/: the loader under its plain name, the parts under hashed names, each also compressed, and manifest.json.
// Fails when a size budget is broken. Sizes are gzip -9 bytes.
import { build, transform } from "esbuild";
import { minify } from "terser";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const ROOT = dirname(fileURLToPath(import.meta.url));
const OUT = join(ROOT, "dist");
const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const KB = 1024;
const BUILDS_KEPT = 5;
const LOADER_BUDGET = 5 * KB;
const KIND_BUDGETS = { tour: 12 * KB, chat: 8 * KB, article: 8 * KB, banner: 8 * KB, modal: 8 * KB, tooltip: 8 * KB, survey: 8 * KB, checklist: 8 * KB };

/** Custom properties of ours alone; those of the page are `--engage-…`. */
const SHORT = { accent: "a", "on-accent": "o", surface: "s", sunken: "u", ink: "i", soft: "q", line: "l", radius: "r", font: "f", shade: "d", lift: "x", ease: "e" };
/** Style sheets become minified strings; esbuild leaves what custom properties are set to as it is. */
const css = {
  name: "css",
  setup({ onLoad }) {
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(readFileSync(path, "utf8"), { loader: "css", minify: true, target: "es2020" });
      const contents = code.trim().replace(/, /g, ",").replace(/(--[\w-]+): /g, "$1:").replace(/(?<=[{(;])--([\w-]+)/g, (all, name) => (name in SHORT ? "--" + SHORT[name] : all));
      return { contents, loader: "text" };
    });
  },
};

/** What several kinds need, but not all, would be files of its own, which a browser asks for only once it has read the kind's: a
 * round trip before a message is seen. So each of these kinds has a copy, which is smaller too. None of it keeps what another
 * would have to know. */
const SEVERAL = /^\.\.?\/([\w/]+\/)?(actions|arrow\.css|deep|focus|follow|media|place|target|watch)$/;
const copies = {
  name: "copies",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: SEVERAL }, ({ path, resolveDir, kind, pluginData }) => {
      const owner = pluginData ?? /src\/(banner|modal|tooltip|tour)$/.exec(resolveDir)?.[1];
      if (!owner || kind !== "import-statement") return undefined;
      const file = join(resolveDir, path.endsWith(".css") ? path : path + ".ts");
      return { path: file, suffix: "?" + owner, pluginData: owner, sideEffects: false };
    });
    // So that what a copy imports is of the same owner.
    onLoad({ filter: /\.ts$/ }, ({ path, pluginData }) => pluginData && { contents: readFileSync(path, "utf8"), loader: "ts", pluginData });
  },
};
const common = {
  absWorkingDir: ROOT,
  bundle: true,
  minify: true,
  target: "es2020",
  charset: "utf8",
  legalComments: "none",
  outdir: OUT,
  metafile: true,
  logLevel: "warning",
  plugins: [css],
};

/** Chromium compiles the whole file beside the page then, in the thread in which it parses it; else every function when it is
 * first called, in the page's own, which costs that some 3 ms, and 12 on a slow device. Of the loader, and of the file that every
 * kind needs. */
const COMPILE_ALL = "//# allFunctionsCalledOnLoad\n";

/** A file of the output with everything it imports at once, itself first. */
function closure(outputs, file) {
  const found = new Set([file]);
  for (const name of found) {
    for (const { path, kind } of outputs[name].imports) if (kind === "import-statement") found.add(path);
  }
  return [...found];
}

mkdirSync(OUT, { recursive: true });
sweep();

/** Takes away what was built before, but for the parts of the last builds: pages that are open have their loader, and ask for them. */
function sweep() {
  const files = readdirSync(OUT, { withFileTypes: true }).map((entry) => [entry, statSync(join(OUT, entry.name)).mtimeMs]);
  const builds = files.filter(([{ name }]) => /^tour-.+\.js$/.test(name)).map(([, time]) => time);
  const oldest = builds.sort((a, b) => b - a)[BUILDS_KEPT - 1] ?? 0;
  for (const [entry, time] of files) {
    const part = entry.isFile() && /-\w+\.js(\.br|\.gz)?$/.test(entry.name);
    if (!part || time < oldest - 60_000) rmSync(join(OUT, entry.name), { recursive: true });
  }
}

/** Property names that never leave the loader and are no browser's: they need not be spelled out. */
const INTERNAL = /^(settle|waiting|adopt|become|named|identity|wake|take|leave|erase|send|look|open)$/;

const kinds = Object.keys(KIND_BUDGETS);
/** The lazily loaded parts; the kinds carry the release's hash, so that the loader need know only that. */
const buildParts = (hash, write) =>
  build({
    ...common,
    entryPoints: Object.fromEntries([...kinds, "debug"].map((name) => [name, `src/${name}/${name}.ts`])),
    format: "esm",
    splitting: true,
    entryNames: `[name]-${hash}`,
    chunkNames: "part-[hash]",
    mangleProps: INTERNAL_OF_PARTS,
    plugins: [copies, css],
    write,
  });
/** The same for the parts: what neither the loader, the service, the browser nor a stored value knows. */
const INTERNAL_OF_PARTS = /^(behind|bare|since|entry|showing|box|late|own|element|later|forced|notBefore|holdUntil|interrupts|problem|ready|report|keep|memory|alone|forget|shadow|dock|leave|users|sheets|observer|boxOf|front|covered|roots|again|brief)$/;
const draft = await buildParts("draft", false);
const digest = createHash("sha256");
for (const { text } of draft.outputFiles) digest.update(text);
digest.update(readFileSync(join(ROOT, "package-lock.json")));
// Letters and digits, few: the loader carries it.
const hash = digest.digest("base64url").replace(/\W|_/g, "").slice(0, 6);
const parts = await buildParts(hash, true);
const { outputs } = parts.metafile;
const part = (name) => Object.keys(outputs).find((file) => outputs[file].entryPoint === `src/${name}/${name}.ts`);

/** The file that every kind needs: the loader asks for it at the same time, by the release's hash. */
const shared = closure(outputs, part("tour")).filter((file) => kinds.every((kind) => closure(outputs, part(kind)).includes(file)))
  .sort((a, b) => outputs[b].bytes - outputs[a].bytes)[0];
const SHARED = `shared-${hash}.js`;
const pathOf = (file) => (file === shared ? join(OUT, SHARED) : join(ROOT, file));

const loader = await build({
  ...common,
  entryPoints: { engage: "src/core/loader.ts" },
  format: "iife",
  mangleProps: INTERNAL,
  define: { HASH: JSON.stringify(hash), VERSION: JSON.stringify(version) },
});

// For no page: `engage rules check --url` has a browser evaluate it.
await build({ ...common, entryPoints: { finder: "src/check/finder.ts" }, format: "iife", globalName: "finder" });

const files = [...Object.keys(loader.metafile.outputs), ...Object.keys(outputs)];
const sizes = {};
for (const file of files) {
  const path = pathOf(file);
  // After esbuild: about 3 % of what it left. What is unsafe is that functions become arrows: nothing of ours is constructed.
  const module = file in outputs;
  const compress = { passes: module ? 6 : 3, unsafe_arrows: true, unsafe_methods: true };
  let { code } = await minify(readFileSync(join(ROOT, file), "utf8").replaceAll(basename(shared), SHARED), { module, ecma: 2020, compress });
  if (!module) ({ code } = await minify(code, { ecma: 2020, compress: { ...compress, hoist_vars: true } })); // 20 bytes more
  // What a page has frozen or patched away makes strict code throw, other code not: and it is 15 bytes.
  const content = Buffer.from((module && file !== shared ? "" : COMPILE_ALL) + code.replace(/^"use strict";/, ""));
  writeFileSync(path, content);
  const gzip = gzipSync(content, { level: 9 });
  const brotli = brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
  writeFileSync(path + ".gz", gzip);
  writeFileSync(path + ".br", brotli);
  sizes[file] = { bytes: content.length, gzip: gzip.length, brotli: brotli.length };
}
rmSync(join(ROOT, shared));
const named = Object.fromEntries(files.map((file) => [basename(pathOf(file)), sizes[file]]));

// The gallery is for people who build: as it is, beside what it shows.
for (const file of readdirSync(join(ROOT, "gallery"))) copyFileSync(join(ROOT, "gallery", file), join(OUT, file));

const gzipped = (list) => [...new Set(list)].reduce((sum, file) => sum + sizes[file].gzip, 0);
const budgets = Object.fromEntries(kinds.map((kind) => [kind, { gzip: gzipped(closure(outputs, part(kind))), budget: KIND_BUDGETS[kind] }]));
writeFileSync(join(OUT, "manifest.json"), JSON.stringify({ version, loader: "engage.js", files: named, budgets }, null, 2) + "\n");
const rows = [["engage.js (before any message)", gzipped(Object.keys(loader.metafile.outputs)), LOADER_BUDGET]];
for (const kind of kinds) rows.push([`+ ${kind}`, budgets[kind].gzip, KIND_BUDGETS[kind]]);
let broken = false;
for (const [what, size, budget] of rows) {
  broken ||= size > budget;
  console.log(`${what.padEnd(32)} ${String(size).padStart(6)} of ${String(budget).padStart(6)} bytes${size > budget ? "  OVER BUDGET" : ""}`);
}
if (broken) process.exit(1);
