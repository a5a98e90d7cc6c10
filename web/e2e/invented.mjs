// The invented operator (dev/) for as long as a script runs: its URL.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export async function invented(rate, more = {}) {
  const operator = spawn("node", ["dev/start.mjs", "--backend"], {
    cwd: new URL("..", import.meta.url),
    env: { ...process.env, RATE: String(rate), PORT: "0", ...more },
    stdio: ["ignore", "pipe", "inherit"],
  });
  process.on("exit", () => operator.kill());
  for await (const line of createInterface({ input: operator.stdout })) {
    const [url] = /http:\S+/.exec(line) ?? [];
    if (url) return { url, stop: () => operator.kill() };
  }
  throw new Error("the invented operator did not start");
}
