// Looks at every view in both themes, wide and narrow: node e2e/views.mjs URL
// [NAMESPACE/KIND/NAME]. There must be an open incident and a remediation to open. axe
// must find nothing, and a narrow page must not scroll sideways. With QUICK=1 it is light and wide, and dark and narrow, alone; with
// SHOTS=folder it leaves pictures there; with KEEP=1 it goes on after a fault and
// tells all of them at the end.
import { mkdir } from "node:fs/promises";
import { check, checkTheCheck } from "./axe.mjs";
import { onPage } from "./browser.mjs";
import { checkFirstLoad } from "./first-load.mjs";

const [url, workload] = process.argv.slice(2);
const shots = process.env.SHOTS;
const only = process.env.ONLY?.split(",");
const views = {
  overview: "/",
  live: "/live",
  incidents: "/incidents",
  workloads: "/workloads",
  ...(workload && { workload: `/workloads/${workload}` }),
  recommendations: "/recommendations?due=all",
  approvals: "/approvals?show=all",
  policies: workload ? `/policies?workload=${workload}` : "/policies",
  audit: "/audit",
  nodes: "/nodes",
  connections: "/connections",
};
const quick = process.env.QUICK && { light: "wide", dark: "narrow" };
const sizes = { wide: { width: 1280, height: 860 }, narrow: { width: 320, height: 700 } };
const faults = [];
if (shots) await mkdir(shots, { recursive: true });

async function settled(page) {
  await page.locator("main h1").first().waitFor();
  await page.waitForFunction(() => !document.querySelector("main .animate-pulse"));
  await page.evaluate(() => document.fonts.ready);
  // Two frames: what was just laid out is painted.
  await page.evaluate(
    () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
  );
}

async function look(page, name, where) {
  try {
    await check(page, where);
    // No view may show a failure where the operator is well.
    const alerts = await page.locator("main [role=alert] h2").allTextContents();
    if (alerts.length > 0) throw new Error(`${where} says: ${alerts.join("; ")}`);
    const over = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    const main = await page.evaluate(() => {
      const view = document.querySelector("main");
      return view ? view.scrollWidth - view.clientWidth : 0;
    });
    if (over > 0 || main > 0)
      throw new Error(`${where} scrolls sideways by ${Math.max(over, main)} px`);
  } catch (fault) {
    if (!process.env.KEEP) throw fault;
    faults.push(String(fault));
  }
  if (shots) await page.screenshot({ path: `${shots}/${name}.png` });
}

// Opens what a view's rows lead to. Without a row what it leads to would go unseen.
const followed = {
  incident: ["/incidents", "main ul a"],
  approval: ["/approvals?show=all", "main table a"],
};

await onPage(url, async (page) => {
  await settled(page);
  await checkFirstLoad(page);
  await checkTheCheck(page);
  console.log("ready");
  for (const theme of ["light", "dark"]) {
    await page.evaluate((chosen) => localStorage.setItem("rightsizer.theme", chosen), theme);
    for (const [size, viewport] of Object.entries(sizes)) {
      if (quick && quick[theme] !== size) continue;
      await page.setViewportSize(viewport);
      for (const [name, path] of Object.entries(views)) {
        if (only && !only.includes(name)) continue;
        await page.goto(url + path);
        await settled(page);
        await look(page, `${name}-${theme}-${size}`, `${path} (${theme}, ${size})`);
      }
      for (const [name, [path, selector]] of Object.entries(followed)) {
        if (only && !only.includes(name)) continue;
        await page.goto(url + path);
        await settled(page);
        const first = page.locator(selector).first();
        await first.waitFor();
        await first.click();
        await settled(page);
        await look(page, `${name}-${theme}-${size}`, `${name} (${theme}, ${size})`);
      }
    }
  }
});
if (faults.length > 0) throw new Error([...new Set(faults)].join("\n\n"));
console.log("looked");
