// Holds the live feed under load: node e2e/soak.mjs URL SECONDS. The operator at
// URL should send thousands of events a second (RATE=2000 npm run dev:fake --
// --backend). After the load no task may take over 100 ms, and the heap may not
// grow by 1 MB a minute or more; SECONDS under 120 tell no slope.
import { onPage } from "./browser.mjs";

const [url, seconds = "60"] = process.argv.slice(2);
const longest = 100; // ms
const steepest = 1; // MB a minute
const every = 10_000; // ms between two looks at the heap

await onPage(`${url}/live`, async (page) => {
  await page.getByRole("status").filter({ hasText: "Live" }).waitFor();
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("HeapProfiler.enable");
  const heap = async () => {
    await devtools.send("HeapProfiler.collectGarbage");
    const { usedSize } = await devtools.send("Runtime.getHeapUsage");
    return usedSize / 1e6;
  };
  // The list is at its cap before the first look, lest filling it count as growth.
  await page.getByText("older ones let go").first().waitFor({ timeout: 60_000 });
  await heap();
  await page.evaluate(() => {
    window.tasks = [];
    new PerformanceObserver((list) => {
      for (const { startTime, duration } of list.getEntries())
        window.tasks.push({ from: startTime, took: Math.round(duration) });
    }).observe({ type: "longtask" });
  });

  const looks = [];
  const collections = []; // of garbage: the script's tasks, not the page's
  const pageTime = () => page.evaluate(() => performance.now());
  const began = performance.now();
  const took = () => performance.now() - began;
  while (took() < Number(seconds) * 1000) {
    await new Promise((done) => setTimeout(done, every));
    const from = await pageTime();
    looks.push([took() / 60_000, await heap()]);
    collections.push({ from, to: await pageTime() });
  }
  const all = await page.evaluate(() => window.tasks);
  const tasks = all
    .filter(
      (task) => !collections.some(({ from, to }) => task.from < to && from < task.from + task.took),
    )
    .map((task) => task.took);
  const slope = slopeOf(looks);
  const rows = await page.getByText(/rows/).first().textContent();
  console.log(
    JSON.stringify({
      seconds: Math.round(took() / 1000),
      rows,
      tasksOver50ms: tasks.length,
      longestTask: Math.max(0, ...tasks),
      heapMB: looks.at(-1)?.[1].toFixed(1),
      slopeMBPerMinute: Number(slope.toFixed(2)),
    }),
  );
  const late = tasks.filter((task) => task > longest);
  if (late.length > 0) throw new Error(`${late.length} tasks over ${longest} ms: ${late}`);
  if (Number(seconds) >= 120 && slope > steepest)
    throw new Error(`the heap grows by ${slope.toFixed(2)} MB a minute`);
});
console.log("held");

// Least squares.
function slopeOf(points) {
  const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;
  const x = mean(points.map(([at]) => at));
  const y = mean(points.map(([, value]) => value));
  const up = points.reduce((sum, [at, value]) => sum + (at - x) * (value - y), 0);
  const across = points.reduce((sum, [at]) => sum + (at - x) ** 2, 0);
  return across === 0 ? 0 : up / across;
}
