// Sees an OOM arrive: node e2e/oom.mjs URL NAMESPACE. Says "ready" when the feed is
// live, and ends when the event is there and opens with its details.
import { check } from "./axe.mjs";
import { onPage } from "./browser.mjs";

const [url, namespace] = process.argv.slice(2);

await onPage(`${url}/live?type=pod.oom_killed&namespace=${namespace}`, async (page) => {
  await page.getByRole("status").filter({ hasText: "Live" }).waitFor();
  console.log("ready");
  const row = page.getByRole("row").filter({ hasText: "pod.oom_killed" }).first();
  await row.waitFor({ timeout: 60_000 });
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.getByText("128 MiB").first().waitFor(); // the limit, in the details
  await check(page, "an event's details");
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
});
console.log("seen");
