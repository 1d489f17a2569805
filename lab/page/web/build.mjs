// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Builds the page into ../assets. Two builds of the same sources and lock file give the same bytes.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const assets = join(here, "..", "assets");
const packages = join(here, "node_modules");

// These packages do nothing when they are imported, but do not say so: what is not used of them can be left out.
const inert = /^(@perses-dev|@tanstack|react-virtuoso|zod)(\/|$)/;
const dropUnused = {
  name: "drop-unused",
  setup(build) {
    build.onLoad({ filter: /@fontsource/ }, () => ({ contents: "", loader: "css" })); // The fonts of the system do.
    build.onResolve({ filter: /./ }, async ({ path, importer, resolveDir, kind, pluginData }) => {
      if (pluginData === "resolved" || kind === "entry-point") return undefined;
      const within = importer.split("node_modules/").pop();
      if (!inert.test(path) && !(path.startsWith(".") && importer.includes("node_modules/") && inert.test(within))) return undefined;
      const resolved = await build.resolve(path, { importer, resolveDir, kind, pluginData: "resolved" });
      return { ...resolved, sideEffects: false };
    });
  },
};

const { metafile, outputFiles } = await esbuild.build({
  absWorkingDir: here,
  entryPoints: { page: "main.tsx" },
  outdir: assets,
  write: false,
  bundle: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  minify: true,
  metafile: true,
  legalComments: "none", // They stand in THIRD_PARTY_LICENSES.
  mainFields: ["module", "browser", "main"],
  define: { "process.env.NODE_ENV": '"production"', global: "globalThis" },
  alias: {
    mathjs: "./arithmetic.ts", // Only gcd and round are used, of 600 kB.
    // Editors are never shown.
    "@hookform/resolvers/zod": "./unused.cjs",
    "@uiw/react-codemirror": "./unused.cjs",
    "@codemirror/lang-json": "./unused.cjs",
    "@codemirror/lint": "./unused.cjs",
    "@codemirror/view": "./unused.cjs",
    "react-hook-form": "./unused.cjs",
    // Some import the one build of it, some the other.
    "@tanstack/react-query": join(packages, "@tanstack/react-query/build/lib/index.mjs"),
  },
  plugins: [dropUnused],
  logLevel: "warning",
});
rmSync(assets, { recursive: true, force: true });
mkdirSync(assets, { recursive: true });
for (const { path, contents } of outputFiles) writeFileSync(path, contents);
writeFileSync(join(assets, "index.html"), readFileSync(join(here, "index.html")));
writeFileSync(join(assets, "THIRD_PARTY_LICENSES"), licences(metafile));
writeFileSync(join(assets, "SOURCES.sha256"), digest() + "\n");

// licences returns those of the packages of which something is in the bundle.
function licences({ inputs, outputs }) {
  const bundled = new Set();
  for (const output of Object.values(outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(output.inputs)) {
      const at = path.lastIndexOf("node_modules/");
      if (at < 0 || bytesInOutput === 0 || inputs[path].bytes === 0) continue;
      const [scope, name] = path.slice(at + "node_modules/".length).split("/");
      bundled.add(path.slice(0, at + "node_modules/".length) + (scope.startsWith("@") ? scope + "/" + name : scope));
    }
  }
  const byText = new Map();
  for (const folder of [...bundled].sort()) {
    const { name, version, license, author } = JSON.parse(readFileSync(join(here, folder, "package.json")));
    const files = readdirSync(join(here, folder)).sort().filter((f) => /^(licen[sc]e|copying|notice)(\.|$)/i.test(f));
    const by = author ? "by " + (author.name ?? author) : "";
    const texts = files.map((file) => readFileSync(join(here, folder, file), "utf8").replaceAll("\r", "").trim());
    const text = texts.join("\n\n") || "The package has no file with its licence. " + by;
    const key = license + "\n\n" + text.trim();
    byText.set(key, [...(byText.get(key) ?? []), name + " " + version]);
  }
  const parts = [...byText].map(([text, names]) => [...new Set(names)].sort().join("\n") + "\n" + text);
  return "The page holds parts of these packages.\n\n" + parts.sort().join("\n\n" + "-".repeat(80) + "\n\n") + "\n";
}

// digest is that of the sources and the lock file. A Go test computes it in the same way.
function digest() {
  const hash = createHash("sha256");
  for (const name of readdirSync(here).sort()) {
    if (name === "node_modules") continue;
    const content = readFileSync(join(here, name));
    hash.update(name + "\n" + content.length + "\n").update(content);
  }
  return hash.digest("hex");
}
