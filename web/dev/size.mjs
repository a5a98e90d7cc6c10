// What a browser loads first, compressed as the handler does it: index.html, what
// that names, and the chunk of the route `/`; the rest comes when that is shown
// (src/ui/later.tsx), which e2e/first-load.mjs holds against a browser. Fails above
// the budget.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const budget = 180 * 1024;
const dist = new URL("../dist/", import.meta.url);
const read = (name) => readFileSync(new URL(name, dist));

// The names of the files, as in dist/.
export function firstLoad() {
  const names = new Set(["index.html"]);
  function follow(name) {
    if (names.has(name)) return;
    names.add(name);
    for (const [, next] of read(name)
      .toString()
      .matchAll(/(?:from|import)\s*["']\.\/([\w.-]+\.js)["']/g))
      follow(`assets/${next}`);
  }
  for (const [, name] of read("index.html")
    .toString()
    .matchAll(/(?:src|href)="\/([^"]+)"/g))
    follow(name);
  const overview = [...names]
    .map((name) => /\.\/(overview-view-[\w-]+\.js)/.exec(read(name).toString())?.[1])
    .find(Boolean);
  if (!overview) throw new Error("no chunk for the overview: was the dashboard built?");
  follow(`assets/${overview}`);
  return names;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  let sum = 0;
  for (const name of firstLoad()) {
    const zipped = gzipSync(read(name), { level: 9 }).length;
    sum += zipped;
    console.log(`${(zipped / 1024).toFixed(1).padStart(7)} KB  ${name}`);
  }
  console.log(`${(sum / 1024).toFixed(1).padStart(7)} KB  first load, of ${budget / 1024} KB`);
  if (sum > budget) process.exit(1);
}
