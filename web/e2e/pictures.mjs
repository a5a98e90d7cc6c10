// Takes the README's pictures, of each view in both themes: node e2e/pictures.mjs
// [FOLDER [URL NAMESPACE/KIND/NAME]]. Without a URL they show the invented operator.
// As WebP, since a PNG of a page is over 100 kB; PNG=folder leaves those too.
import { mkdir, stat, writeFile } from "node:fs/promises";
import { onPage } from "./browser.mjs";
import { invented } from "./invented.mjs";

const [folder = "pictures", given, wanted] = process.argv.slice(2);
const operator = given ? undefined : await invented(1, { OPEN: "no" });
const url = given ?? operator.url;
const workload = wanted ?? "shop/Deployment/catalog-store-187";
const pictures = [
  { name: "login", path: "/", nobody: true },
  { name: "overview", path: "/" },
  { name: "live", path: "/live", keys: ["j", "Enter"] },
  { name: "incident", path: "/incidents", click: "main ul a" },
  { name: "workloads", path: "/workloads?order=open_problems" },
  { name: "workload", path: `/workloads/${workload}`, height: 1000 },
  { name: "recommendations", path: "/recommendations?due=all" },
  { name: "approval", path: "/approvals", click: "main table a" },
  { name: "policies", path: `/policies?workload=${workload}` },
  { name: "audit", path: "/audit" },
  { name: "nodes", path: "/nodes" },
  { name: "connections", path: "/connections" },
];
const oidc = {
  issuer: "https://login.example.com",
  clientId: "rightsizer",
  authorizationEndpoint: "https://login.example.com/authorize",
  scopes: ["openid"],
  redirectPath: "/login/callback",
};

// The operator as it is to somebody who has not signed in.
async function asNobody(page) {
  const says = (status, body) => (route) => route.fulfill({ status, json: body });
  await page.route(/\/rightsizer\.v1\./, says(401, { code: "unauthenticated" }));
  await page.route("**/auth/config", says(200, { oidc }));
}

await mkdir(folder, { recursive: true });
if (process.env.PNG) await mkdir(process.env.PNG, { recursive: true });
await onPage(url, async (page) => {
  const devtools = await page.context().newCDPSession(page);
  const settled = async () => {
    await page.locator("main h1").first().waitFor();
    await page.waitForFunction(() => !document.querySelector("main .animate-pulse"));
  };
  for (const theme of ["light", "dark"]) {
    await page.evaluate((chosen) => localStorage.setItem("rightsizer.theme", chosen), theme);
    for (const { name, path, keys = [], click, height = 720, nobody } of pictures) {
      await page.setViewportSize({ width: 1280, height });
      await page.unrouteAll();
      if (nobody) await asNobody(page);
      await page.goto(url + path);
      await settled();
      if (path === "/live") await page.getByRole("status").filter({ hasText: "Live" }).waitFor();
      for (const key of keys) await page.keyboard.press(key);
      if (click) await page.locator(click).first().click();
      await settled();
      await page.waitForLoadState("networkidle", { timeout: 3000 }).catch(() => undefined); // a stream never rests
      const shot = { format: "webp", quality: 50 };
      const { data } = await devtools.send("Page.captureScreenshot", shot);
      const file = `${folder}/${name}-${theme}.webp`;
      await writeFile(file, Buffer.from(data, "base64"));
      console.log(`${((await stat(file)).size / 1000).toFixed(1).padStart(7)} kB  ${file}`);
      if (process.env.PNG)
        await page.screenshot({ path: `${process.env.PNG}/${name}-${theme}.png` });
    }
  }
}).finally(() => operator?.stop());
