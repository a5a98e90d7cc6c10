// Sees an OOM arrive: node e2e/oom.mjs URL NAMESPACE. Says "ready" when the feed is
// live, and ends when the event is there and opens with its details.
import { readFile } from "node:fs/promises";
import { onPage } from "./browser.mjs";

const [url, namespace] = process.argv.slice(2);
const axe = await readFile(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

await onPage(`${url}/live?type=pod.oom_killed&namespace=${namespace}`, async (page) => {
  await page.getByRole("status").filter({ hasText: "Live" }).waitFor();
  console.log("ready");
  const row = page.getByRole("row").filter({ hasText: "pod.oom_killed" }).first();
  await row.waitFor({ timeout: 60_000 });
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.getByText("128 MiB").first().waitFor(); // the limit, in the details
  // axe comes past the policy of the page, as a debugger would.
  const found = await page.evaluate(`(() => { ${axe}; return axe.run(); })()`);
  const violations = found.violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map((n) => n.html).join(" | ")}`,
  );
  if (violations.length > 0) throw new Error(`axe: ${violations.join("\n")}`);
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
});
console.log("seen");
