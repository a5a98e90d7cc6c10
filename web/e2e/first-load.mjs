// Holds dev/size.mjs to what it says: opening `/` fetches nothing that it does not
// count, before the page begins to load what comes later (src/ui/later.tsx).
import { firstLoad } from "../dev/size.mjs";

export async function checkFirstLoad(page) {
  await page.waitForFunction(() => performance.getEntriesByName("later").length > 0);
  const fetched = await page.evaluate(() => {
    const [later] = performance.getEntriesByName("later");
    return performance
      .getEntriesByType("resource")
      .filter((one) => one.startTime < later.startTime && one.initiatorType !== "fetch")
      .map(({ name }) => new URL(name).pathname.slice(1));
  });
  const counted = firstLoad();
  const more = fetched.filter((name) => !counted.has(name));
  if (more.length > 0) throw new Error(`the first load is not counted whole: ${more}`);
  if (!fetched.some((name) => name.includes("overview-view")))
    throw new Error(`the first view comes after the first load: ${fetched}`);
}
