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

  // After an update what was never opened is gone. That is said in its place, and
  // takes nothing else along.
  const gone = /assets\/(palette|policies-view)-/;
  const lacking = page.getByRole("alert").filter({ hasText: "could not be loaded" });
  await page.route(gone, (route) => route.abort());
  await page.reload();
  await page.getByRole("heading", { level: 1, name: "Recommendations" }).waitFor();
  await page.evaluate(() => {
    window.same = true;
  });
  await page.keyboard.press("Control+k");
  await page.getByRole("dialog").filter({ has: lacking }).waitFor();
  await check(page, "a palette that is gone");
  await page.keyboard.press("Escape");
  await page.getByRole("link", { name: "Policies" }).first().click();
  await page.getByRole("main").filter({ has: lacking }).waitFor();
  await check(page, "a view that is gone");
  await page.unroute(gone);
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("heading", { level: 1, name: "Policies" }).waitFor();
  await palette("Live");
  await status.filter({ hasText: "Live" }).waitFor();

  await page.goto(`${url}/live?namespace=${namespace}`);
  await status.filter({ hasText: "Live" }).waitFor();
  await all();
  await page.evaluate(() => {
    window.same = true;
  });
  console.log("cut");
  await status.filter({ hasText: "reconnecting" }).waitFor(arrived);
  await rows.first().waitFor(); // what was there stays
  await check(page, "the feed without a network");
  await page.keyboard.press("Control+k"); // for the first time
  await page.getByRole("combobox", { name: "View, workload or theme" }).waitFor();
  await page.keyboard.press("Escape");
  console.log("mend");
  await status.filter({ hasText: "resumed without loss" }).waitFor(arrived);
  await rows.filter({ hasText: job }).first().waitFor(arrived);

  // A view that was never opened is there in an outage, too.
  await page.context().setOffline(true);
  await palette("Audit");
  await page.getByText("No answer from the operator").first().waitFor(arrived);
  await check(page, "a view without a network");
  await page.context().setOffline(false);
  await page.getByText("No answer from the operator").first().waitFor({ state: "detached" });

  // The palette goes to a view; the page is the one that it was.
  async function palette(name) {
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: "View, workload or theme" }).fill(name);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name }).waitFor();
    if (!(await page.evaluate(() => window.same))) throw new Error(`${name} reloaded the page`);
  }

  // All that comes later has come.
  async function all() {
    await page.waitForFunction(() =>
      ["palette", "login-view", "audit-view", "usage-plot"].every((part) =>
        performance.getEntriesByType("resource").some(({ name }) => name.includes(`/${part}-`)),
      ),
    );
  }
});
console.log("seen");
