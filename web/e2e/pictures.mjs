// Takes the README's pictures: node e2e/pictures.mjs URL NAMESPACE/KIND/NAME
// [FOLDER]. As WebP, since a PNG of a page is over 100 kB.
import { mkdir, writeFile } from "node:fs/promises";
import { onPage } from "./browser.mjs";

const [url, workload, folder = "pictures"] = process.argv.slice(2);
const pictures = [
  { name: "overview", theme: "light", path: "/" },
  { name: "live", theme: "dark", path: "/live", keys: ["j", "Enter"] },
  { name: "incident", theme: "light", path: "/incidents", click: "main ul a" },
  { name: "workload", theme: "dark", path: `/workloads/${workload}`, height: 1000 },
  { name: "recommendations", theme: "light", path: "/recommendations?due=all" },
];

await mkdir(folder, { recursive: true });
await onPage(url, async (page) => {
  const devtools = await page.context().newCDPSession(page);
  for (const { name, theme, path, keys = [], click, height = 720 } of pictures) {
    await page.setViewportSize({ width: 1200, height });
    await page.evaluate((chosen) => localStorage.setItem("rightsizer.theme", chosen), theme);
    await page.goto(url + path);
    await page.locator("main h1").first().waitFor();
    await page.waitForFunction(() => !document.querySelector("main .animate-pulse"));
    if (path === "/live") await page.getByRole("status").filter({ hasText: "Live" }).waitFor();
    for (const key of keys) await page.keyboard.press(key);
    if (click) await page.locator(click).first().click();
    await page.waitForLoadState("networkidle", { timeout: 3000 }).catch(() => undefined); // a stream never rests
    const { data } = await devtools.send("Page.captureScreenshot", { format: "webp", quality: 85 });
    await writeFile(`${folder}/${name}.webp`, Buffer.from(data, "base64"));
    if (process.env.PNG) await page.screenshot({ path: `${process.env.PNG}/${name}.png` });
  }
});
