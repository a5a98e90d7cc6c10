// npm run lock: writes package-lock.json anew and completes it. Some registries
// hold no packages for foreign platforms; npm then leaves these out of the lock
// and `npm ci` refuses what is left. They are named here without a digest, which
// npm skips on this platform and fetches on theirs.
//
// Resolved in a folder of its own: with node_modules at hand npm would leave the
// digests out.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const web = new URL("..", import.meta.url);
const copy = mkdtempSync(join(tmpdir(), "rightsizer-lock-"));
for (const folder of ["web", "gen/ts"]) {
  mkdirSync(join(copy, folder), { recursive: true });
  copyFileSync(new URL(`../${folder}/package.json`, web), join(copy, folder, "package.json"));
}
execFileSync("npm", ["install", "--package-lock-only", "--omit-lockfile-registry-resolved"], {
  cwd: join(copy, "web"),
  stdio: "inherit",
});

const lock = JSON.parse(readFileSync(join(copy, "web/package-lock.json"), "utf8"));
// name-os-cpu, and for Linux the C library.
const platform =
  /-(?:(android|darwin|freebsd|linux|win32)-(arm64|x64|arm)|wasm32)(?:-(wasi|musl|gnu|gnueabihf|msvc))?$/;
for (const { optionalDependencies = {} } of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const [found, os, cpu = "wasm32", library] = platform.exec(name) ?? [];
    if (!found || lock.packages[`node_modules/${name}`]) continue;
    lock.packages[`node_modules/${name}`] = {
      version,
      cpu: [cpu],
      dev: true,
      ...(library === "musl" && { libc: ["musl"] }),
      optional: true,
      ...(os && { os: [os] }),
    };
  }
}
const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1));
lock.packages = Object.fromEntries(sorted);
writeFileSync(new URL("package-lock.json", web), `${JSON.stringify(lock, null, 2)}\n`);
rmSync(copy, { recursive: true });
