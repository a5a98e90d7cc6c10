// Holds the live feed under load: node e2e/soak.mjs [60|10m [URL]]. Without a URL
// it is the invented operator's, with 5,000 workloads and 2,000 events a second, of
// which half at least must come, however busy the machine is. Somebody walks, opens
// and filters meanwhile, and sorts and pages the workloads in the end. From then on no
// task of the page may take over 100 ms of its main thread, what a screen reader hears
// must not flood, and the heap may not grow by 1 MB a minute or more; under two
// minutes tell no slope.
//
// A task counts by the time that it ran, and fails where it surely ran too long
// (main-thread.mjs): by the clock it would be the machine's too. Those of which that
// could not be told are counted.
import { onPage } from "./browser.mjs";
import { invented } from "./invented.mjs";
import { watchMainThread } from "./main-thread.mjs";

const [time = "60", given] = process.argv.slice(2);
const seconds = Number.parseFloat(time) * ({ m: 60, h: 3600 }[time.at(-1)] ?? 1);
if (!(seconds > 0)) throw new Error(`${time} is no time: 60, 10m`);
const longest = 100; // ms
const steepest = 1; // MB a minute
const every = 10_000; // ms between two looks at the heap
const spoken = 15; // seconds between two announcements, at least

const rate = 2000; // events a second, of the invented operator
const least = given ? 0 : rate / 2;

const operator = given ? undefined : await invented(rate);
await onPage(`${given ?? operator.url}/live`, async (page, browser) => {
  await page.getByRole("status").filter({ hasText: "Live" }).waitFor();
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("HeapProfiler.enable");
  const heap = async () => {
    await devtools.send("HeapProfiler.collectGarbage");
    const { usedSize } = await devtools.send("Runtime.getHeapUsage");
    return usedSize / 1e6;
  };
  // The list is at its cap before the first look, lest filling it count as growth.
  await page.getByText("older ones let go").first().waitFor({ timeout: 120_000 });
  await use(page);
  await heap();
  await page.evaluate(listen);
  const letGo = () =>
    page
      .getByText(/older ones let go/)
      .first()
      .textContent();
  const counted = async () => Number(/([\d,]+) older/.exec(await letGo())[1].replaceAll(",", ""));
  const before = await counted();
  const main = await watchMainThread(page, browser);
  const ranBefore = main.ranFor();

  const looks = [];
  const tasks = [];
  const began = performance.now();
  const took = () => performance.now() - began;
  while (took() < seconds * 1000) {
    await new Promise((done) => setTimeout(done, every));
    await use(page);
    tasks.push(...(await main.take()));
    looks.push([took() / 60_000, await heap()]);
    await main.take(); // what collecting garbage took is the script's
  }
  const events = (await counted()) - before;
  const announced = await page.evaluate(() => window.announced.length);
  const followed = took() / 1000;
  await sortAndPage(page);
  tasks.push(...(await main.take()));
  main.stop();
  const slope = slopeOf(looks);
  const figures = {
    seconds: Math.round(followed),
    eventsASecond: Math.round(events / followed),
    mainThread: `${Math.round(((main.ranFor() - ranBefore) / took()) * 100)} %`,
    tasksOver50ms: tasks.filter(({ ran }) => ran > 50).length,
    longestTask: Math.max(0, ...tasks.map(({ ran }) => ran)),
    tasksNotTold: tasks.filter(({ ran, surely }) => ran > longest && surely <= longest).length,
    longestTaskSurely: Math.max(0, ...tasks.map(({ surely }) => surely)),
    longestTaskByTheClock: Math.max(0, ...tasks.map((task) => task.took)),
    announcements: announced,
    heapMB: Number(looks.at(-1)?.[1].toFixed(1)),
    slopeMBPerMinute: Number(slope.toFixed(2)),
  };
  console.log(JSON.stringify(figures));
  if (events === 0 || figures.eventsASecond < least)
    throw new Error(`${figures.eventsASecond} events a second came, not ${least}`);
  const late = tasks.filter(({ surely }) => surely > longest);
  if (late.length > 0)
    throw new Error(`${late.length} tasks over ${longest} ms: ${late.map(({ surely }) => surely)}`);
  if (announced > followed / spoken + 1)
    throw new Error(`${announced} announcements in ${figures.seconds} s`);
  if (seconds >= 120 && slope >= steepest)
    throw new Error(`the heap grows by ${slope.toFixed(2)} MB a minute`);
}).finally(() => operator?.stop());
console.log("held");

// What somebody does who watches: walks, looks at an event, filters by text.
async function use(page) {
  for (const key of ["j", "j", "Enter", "j", "k", "Escape", "/"]) await page.keyboard.press(key);
  await page.keyboard.type("checkout");
  await page.keyboard.press("Control+a");
  await page.keyboard.press("Delete");
  await page.getByRole("grid").focus();
}

// What somebody does with 5,000 workloads: sorts them, goes through pages, opens one.
async function sortAndPage(page) {
  const main = page.getByRole("main");
  const settled = () =>
    page.waitForFunction(() => !document.querySelector("main :is(.animate-pulse, .opacity-60)"));
  await page.getByRole("link", { name: "Workloads", exact: true }).click();
  for (const name of ["Restarts", "Memory requested", "Next", "Next"]) {
    await main.getByRole("button", { name }).click();
    await settled();
  }
  await main.locator("tbody a").first().click();
  await main.getByRole("figure").first().waitFor();
  await settled();
}

// Notes what live regions say.
function listen() {
  window.announced = [];
  const live = "[role=status], [role=alert], [aria-live]";
  new MutationObserver((changes) => {
    for (const { target } of changes) {
      const region = (target instanceof Element ? target : target.parentElement)?.closest(live);
      if (region?.textContent) window.announced.push(region.textContent);
    }
  }).observe(document.body, { childList: true, characterData: true, subtree: true });
}

// Least squares.
function slopeOf(points) {
  const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;
  const x = mean(points.map(([at]) => at));
  const y = mean(points.map(([, value]) => value));
  const up = points.reduce((sum, [at, value]) => sum + (at - x) * (value - y), 0);
  const across = points.reduce((sum, [at]) => sum + (at - x) ** 2, 0);
  return across === 0 ? 0 : up / across;
}
