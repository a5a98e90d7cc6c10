// Somebody who may read one namespace: TOKEN=... node e2e/login.mjs URL NAMESPACE.
// He is asked who he is, is told when a token is not taken, sees his namespace, is
// told what he may not see, and leaves nothing behind; all by keyboard.
import { check } from "./axe.mjs";
import { onPage } from "./browser.mjs";
import { keyboard } from "./keys.mjs";

const [url, namespace] = process.argv.slice(2);
const token = process.env.TOKEN;
if (!token) throw new Error("TOKEN wants the token to sign in with");

await onPage(`${url}/workloads?namespace=${namespace}`, async (page) => {
  const keys = await keyboard(page);
  const title = (name) => keys.see(page.getByRole("heading", { level: 1, name }));
  const views = page.getByRole("navigation", { name: "Views" });
  const go = (name) => keys.use(views.getByRole("link", { name }), { back: true });
  const settled = () =>
    page.waitForFunction(() => !document.querySelector("main .animate-pulse, main [aria-busy]"));

  await page.getByRole("heading", { level: 1, name: "Sign in" }).waitFor();
  await check(page, "the login");
  console.log("ready");
  await keys.press("Tab");
  await keys.to(page.getByLabel("Token"));
  await keys.paste("not-a-token");
  await keys.press("Enter");
  await page.getByRole("alert").filter({ hasText: "does not take this token" }).waitFor();
  await check(page, "a token that is not taken");

  await keys.press("Control+a");
  await keys.paste(token);
  await keys.press("Enter");
  // The view that was asked for, with its filter.
  await title("Workloads");
  await page.getByRole("link", { name: "checkout" }).first().waitFor();
  const left = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage]));
  if (left.includes(token) || page.url().includes(token)) throw new Error("the token is kept");
  if ((await page.context().cookies()).length > 0) throw new Error("there are cookies");

  for (const [link, name] of [
    ["Overview", "Overview"],
    ["Live", "Live events"],
    ["Incidents", "Incidents"],
    ["Recommendations", "Recommendations"],
  ]) {
    await go(link);
    await title(name);
    await settled();
    const refused = await page.locator("main [role=alert]").allTextContents();
    if (refused.length > 0) throw new Error(`${name} says: ${refused.join("; ")}`);
    await check(page, name);
  }
  // Without a namespace in the filter the list holds what he may see.
  await go("Workloads");
  await page.getByRole("link", { name: "checkout" }).first().waitFor();
  const rows = await page.locator("main tbody tr").allTextContents();
  const others = rows.filter((row) => !row.includes(` in ${namespace}`));
  if (others.length > 0) throw new Error(`rows of other namespaces: ${others.join("; ")}`);

  for (const name of ["Nodes", "Connections"]) {
    await go(name);
    await title(name);
    await page.getByRole("alert").filter({ hasText: "You may not see this" }).waitFor();
    await check(page, `${name}, denied`);
  }

  await keys.use(page.getByRole("button", { name: "Sign out" }), { back: true });
  await title("Sign in");
  if ((await page.getByText("checkout").count()) > 0) throw new Error("what he saw is still there");
});
console.log("seen");
