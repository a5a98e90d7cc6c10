// What somebody does with an OOM: node e2e/flow.mjs URL NAMESPACE. It sees one
// arrive, filters, opens it, its workload and the recommendations, all with links
// and keys; then it says "cut" and wants the network to be lost, "mend" and wants
// it back, with an event of JOB in between. axe looks at each step.
import { check } from "./axe.mjs";
import { onPage } from "./browser.mjs";

const [url, namespace, job] = process.argv.slice(2);

const arrived = { timeout: 90_000 };

await onPage(`${url}/live`, async (page) => {
  const status = page.getByRole("status");
  await status.filter({ hasText: "Live" }).waitFor();
  console.log("ready");

  await page.getByLabel("Type", { exact: true }).fill("pod.oom_killed");
  await page.getByLabel("Namespace", { exact: true }).fill(namespace);
  await page.keyboard.press("Enter");
  await page.waitForURL(/type=pod\.oom_killed/);
  await page.waitForURL(new RegExp(`namespace=${namespace}`));
  await status.filter({ hasText: "Live" }).waitFor();
  const rows = page.locator("[role=row]:has([role=gridcell])");
  await rows.filter({ hasText: "checkout" }).first().waitFor(arrived);
  const others = await rows.filter({ hasNotText: `${namespace}/` }).count();
  if (others > 0) throw new Error(`${others} rows are of other namespaces than the filter's`);
  await check(page, "the feed");

  await page.locator("main").focus();
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  const details = page.getByRole("complementary", { name: "Event" });
  await details.getByText("128 MiB").first().waitFor();
  await check(page, "the event");
  // Its incident and its workload are where the details say.
  await details.getByRole("link", { name: "Deployment/checkout" }).click();
  await page.waitForURL(new RegExp(`/workloads/${namespace}/Deployment/checkout`));
  await page.getByRole("heading", { level: 1, name: /checkout/ }).waitFor();
  await page.getByText("128 MiB").first().waitFor();
  await check(page, "the workload");

  await page.getByRole("link", { name: "Recommendations" }).first().click();
  await page.getByRole("heading", { level: 1, name: "Recommendations" }).waitFor();
  await page.waitForFunction(() => !document.querySelector("main .animate-pulse"));
  await check(page, "the recommendations");

  await page.goto(`${url}/live?namespace=${namespace}`);
  await status.filter({ hasText: "Live" }).waitFor();
  console.log("cut");
  await status.filter({ hasText: "reconnecting" }).waitFor(arrived);
  await rows.first().waitFor(); // what was there stays
  await check(page, "the feed without a network");
  console.log("mend");
  await status.filter({ hasText: "resumed without loss" }).waitFor(arrived);
  await rows.filter({ hasText: job }).first().waitFor(arrived);
});
console.log("seen");
