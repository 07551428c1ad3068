// dist/npm/: what the npm package holds, beside the types that tsc has put there. Run by `npm run package`, and so by `npm pack`.
import { build } from "esbuild";

await build({
  entryPoints: ["index", "react", "vue"].map((name) => `src/npm/${name}.ts`),
  outdir: "dist/npm",
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2020",
  external: ["react", "vue"],
  logLevel: "warning",
});
