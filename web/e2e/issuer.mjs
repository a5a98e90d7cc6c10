// Somebody who logs in at an issuer: node e2e/issuer.mjs URL NAMESPACE SECONDS. He
// comes back to the view he left; says "in" and waits for a word; signs out; is
// refused once; logs in with a token that is good for SECONDS, watches it end and
// logs in again. What he watched is never shown as nothing or as denied meanwhile.
import { check } from "./axe.mjs";
import { onPage, told } from "./browser.mjs";

const [url, namespace, seconds] = process.argv.slice(2);
const wanted = `/workloads?namespace=${namespace}&order=restarts`;
const watched = `/live?type=pod.oom_killed&namespace=${namespace}`;

await onPage(url + wanted, async (page) => {
  const title = (name, options) => page.getByRole("heading", { level: 1, name }).waitFor(options);
  const at = (path) =>
    page.waitForURL((now) => decodeURIComponent(now.pathname + now.search) === path);
  const leave = () => page.getByRole("button", { name: /^Sign in at 127\.0\.0\.1/ }).click();
  const logIn = async () => {
    await leave();
    await page.getByRole("link", { name: "Continue as ana" }).click();
  };
  const rows = page.locator("[role=row]:has([role=gridcell])").filter({ hasText: "checkout" });

  await title("Sign in");
  await page.getByRole("button", { name: /^Sign in at/ }).waitFor();
  await check(page, "the login with an issuer");
  console.log("ready");
  await logIn();
  await at(wanted);
  await title("Workloads");
  await page.getByRole("link", { name: "checkout" }).first().waitFor();
  await page.getByText("oidc:ana").first().waitFor();
  const kept = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage]));
  if (/eyJ|verifier/.test(kept)) throw new Error(`kept in storage: ${kept}`);
  const cookies = await page.context().cookies(url);
  if (cookies.length > 0) throw new Error(`kept in cookies: ${JSON.stringify(cookies)}`);
  const devtools = await page.context().newCDPSession(page);
  const { entries } = await devtools.send("Page.getNavigationHistory");
  const coded = entries.filter((entry) => entry.url.startsWith(url) && entry.url.includes("code="));
  if (coded.length > 0) throw new Error(`codes in the history: ${JSON.stringify(coded)}`);

  console.log("in");
  await told();
  await page.getByRole("button", { name: "Sign out" }).click();
  await title("Sign in");
  if ((await page.getByText("checkout").count()) > 0) throw new Error("what he saw is still there");

  await leave();
  await page.getByRole("link", { name: "Refuse" }).click();
  await page.getByRole("alert").filter({ hasText: "ana is not in the group" }).waitFor();
  await check(page, "what the issuer refused");
  await page.goto(`${url}/login/callback?code=a&state=of-somebody-else`);
  await page.getByRole("alert").filter({ hasText: "did not begin" }).waitFor();

  // From here on everything that the view says is kept.
  await page.addInitScript(() => {
    window.said = [];
    new MutationObserver(() => {
      const text = document.querySelector("main")?.textContent ?? "";
      const wrong = /may not see|No connection|No event matches|Nothing has/.exec(text);
      if (wrong) window.said.push(wrong[0]);
    }).observe(document, { childList: true, subtree: true, characterData: true });
  });
  await page.goto(url + watched);
  await title("Sign in");
  await logIn();
  await at(watched);
  await page.getByRole("status").filter({ hasText: "Live" }).waitFor();
  await rows.first().waitFor();
  await title("Sign in", { timeout: (Number(seconds) + 30) * 1000 });
  await page.getByRole("alert").filter({ hasText: "may have expired" }).waitFor();
  await check(page, "a token that expired");
  const said = await page.evaluate(() => window.said);
  if (said.length > 0) throw new Error(`an expired token was shown as: ${[...new Set(said)]}`);

  await logIn();
  await at(watched);
  await rows.first().waitFor();
});
console.log("seen");
