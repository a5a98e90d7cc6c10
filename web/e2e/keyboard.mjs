// What somebody does who has no mouse: node e2e/keyboard.mjs URL NAMESPACE WORKLOAD.
// Says "ready" and wants an OOM kill of the workload, for which its policy asks a
// person: he sees it arrive, filters, opens it and its workload, approves the resize,
// sees it succeed and finds it in the audit. Then he says "cut" and wants the network
// to be lost, "mend" and wants it back, and walks the other views. axe looks at each;
// after each key the focus is somewhere and shows.
import { check } from "./axe.mjs";
import { onPage } from "./browser.mjs";
import { checkTheRule } from "./focus.mjs";
import { keyboard } from "./keys.mjs";

const [url, namespace, workload] = process.argv.slice(2);
const reason = "seen without a mouse";
const arrived = { timeout: 90_000 };
const wide = { width: 1280, height: 800 };
const narrow = { width: 320, height: 700 };
const views = [
  "Overview",
  "Live",
  "Incidents",
  "Workloads",
  "Recommendations",
  "Approvals",
  "Policies",
  "Audit",
  "Nodes",
  "Connections",
];

await onPage(url, async (page) => {
  const keys = await keyboard(page);
  const main = page.getByRole("main");
  const status = page.getByRole("status");
  const button = (name) => page.getByRole("button", { name, exact: true });
  const link = (name) => main.getByRole("link", { name, exact: true });
  const field = (name) => page.getByLabel(name, { exact: true });
  const rows = page.locator("[role=row]:has([role=gridcell])");
  const title = (name) => keys.see(page.getByRole("heading", { level: 1, name }));
  // Neither awaited nor dimmed as what was there before.
  const settled = () =>
    page.waitForFunction(() => !document.querySelector("main :is(.animate-pulse, .opacity-60)"));
  async function look(name, heading = name) {
    await title(heading);
    await settled();
    await check(page, name);
    await keys.hold(name);
  }

  // The first key of a visit leads past the navigation.
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await keys.press("Tab");
  await keys.use(button("Skip to the content"));
  await checkTheRule(page);
  await look("the overview", "Overview");
  await palette();

  await keys.goTo("Live");
  await keys.see(status.filter({ hasText: "Live" }));
  console.log("ready");
  await oomArrives();
  await decide();
  await audit();
  await losesTheNetwork();
  for (const size of [wide, narrow]) {
    await page.setViewportSize(size);
    for (const name of views) await stopEverywhere(name);
  }
  await page.setViewportSize(wide);
  await keys.goTo("Workloads");
  await title("Workloads");
  await keys.press("/");
  await keys.type(workload);
  await keys.press("Enter");
  await keys.see(link(workload));
  await look("the workloads", "Workloads");
  await keys.to(page.getByRole("checkbox")); // letters are text in the fields
  await walk(link(workload));
  await keys.press("Enter");
  await title(workload);

  async function stopEverywhere(name) {
    await keys.goTo(name);
    await look(name, name === "Live" ? "Live events" : name);
    await keys.through(name);
  }

  // It opens anywhere, chooses with arrows, and gives the focus back.
  async function palette() {
    await keys.to(link("All incidents").or(main.getByRole("link")));
    const before = await page.evaluateHandle(() => document.activeElement);
    await keys.press("Control+k");
    await keys.see(page.getByRole("dialog", { name: "Go to" }));
    await check(page, "the palette");
    await keys.press("ArrowDown");
    await keys.press("Escape");
    if (!(await before.evaluate((element) => element === document.activeElement)))
      throw new Error("the palette does not give the focus back");
  }

  async function oomArrives() {
    const killed = rows.filter({ hasText: "pod.oom_killed" }).filter({ hasText: workload });
    await keys.see(killed, arrived);
    await keys.press("/");
    await keys.type(`${namespace}/${workload}`);
    await keys.to(field("Type"), { back: true });
    await keys.type("pod.oom_killed");
    await keys.press("Enter");
    await page.waitForURL(/type=pod\.oom_killed/);
    await keys.see(killed);
    await page.waitForFunction(
      (text) =>
        [...document.querySelectorAll("[role=row]:has([role=gridcell])")].every((row) =>
          row.textContent.includes(text),
        ),
      `${namespace}/${workload}`,
    );
    await look("the feed", "Live events");

    await keys.to(page.getByRole("grid"));
    for (const key of ["j", "j", "k", "Enter"]) await keys.press(key);
    const details = page.getByRole("complementary", { name: "Event" });
    await keys.see(details.getByText("64 MiB"));
    await check(page, "the event");
    await keys.press("Escape");
    if ((await details.count()) > 0) throw new Error("Escape does not close the event");
    await keys.press("Enter");
    await keys.use(details.getByRole("link", { name: `Deployment/${workload}` }));
    await look("the workload", workload);
  }

  // j leads to a row's first link, however many rows are above it.
  async function walk(target) {
    await target.first().waitFor();
    for (let walked = 0; walked < 50; walked++) {
      if (await keys.isOn(target)) return;
      await keys.press("j");
    }
    throw new Error(`j does not lead to ${target}`);
  }

  async function decide() {
    await keys.goTo("Approvals");
    await title("Approvals");
    await keys.press("/");
    await keys.type(namespace);
    await keys.press("Enter");
    await page.waitForURL(new RegExp(`namespace=${namespace}`));
    const proposal = link("Resize in place");
    await keys.see(proposal, arrived);
    await look("the approvals", "Approvals");
    await keys.press("Tab");
    await walk(proposal);
    await keys.press("Enter");
    await look("the approval", `Resize in place ${workload}`);

    const dialog = page.getByRole("dialog", { name: "Approve this remediation" });
    const approve = main.getByRole("button", { name: "Approve", exact: true });
    await keys.use(approve);
    await keys.see(dialog);
    await keys.press("Escape");
    if (!(await keys.isOn(approve))) throw new Error("the dialog does not give the focus back");
    await keys.press("Enter");
    await keys.to(dialog.getByLabel(/to confirm/));
    await keys.type("another");
    await keys.press("Enter"); // is not taken
    await check(page, "the confirmation");
    await keys.press("Control+a");
    await keys.type(workload);
    await keys.to(dialog.getByLabel(/Reason/));
    await keys.type(reason);
    await keys.use(dialog.getByRole("button", { name: "Approve", exact: true }));
    await dialog.waitFor({ state: "detached" });
    await keys.hold("as the dialog closed");
    await keys.see(status.filter({ hasText: "Succeeded" }), arrived);
    await look("what was approved", `Resize in place ${workload}`);
  }

  async function audit() {
    await keys.use(link("Find it in the audit"));
    await title("Audit");
    const record = main.locator("summary").filter({ hasText: reason });
    await walk(record);
    await keys.press("Enter");
    await keys.see(main.locator("details[open]").getByText("Waiting → Approved"));
    await look("the audit", "Audit");
    await keys.use(button("Verify the chain"), { back: true });
    await keys.see(status.filter({ hasText: "Whole" }));
  }

  async function losesTheNetwork() {
    await keys.goTo("Live");
    await keys.see(status.filter({ hasText: "Live" }));
    console.log("cut");
    await keys.see(status.filter({ hasText: "reconnecting" }), arrived);
    await keys.use(button("Reconnect now"));
    await keys.see(status.filter({ hasText: "reconnecting" }), arrived);
    console.log("mend");
    await keys.see(status.filter({ hasText: "resumed without loss" }), arrived);
  }
});
console.log("seen");
