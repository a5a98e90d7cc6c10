// What the main thread of a page costs, however busy the machine is: the kernel says
// how long it ran (Linux, /proc/PID/schedstat), so a task that had to wait for a
// core is not taken for a long one.
import { readFileSync } from "node:fs";

const every = 10; // ms between two looks

// Starts to note tasks over 50 ms of the page, whose is the busiest renderer. take()
// returns them: {took, ran, surely}, in ms: by the clock; what the thread ran from the
// look before to the look after; and what of that it ran in the task at least.
export async function watchMainThread(page, browser) {
  const devtools = await browser.newBrowserCDPSession();
  const { processInfo } = await devtools.send("SystemInfo.getProcessInfo");
  const renderer = processInfo
    .filter(({ type }) => type === "renderer")
    .sort((a, b) => b.cpuTime - a.cpuTime)[0];
  if (!renderer) throw new Error("the browser has no renderer");
  const stat = `/proc/${renderer.id}/schedstat`;
  const look = () => ({
    at: Date.now(),
    ran: Number(readFileSync(stat, "utf8").split(" ")[0]) / 1e6,
  });
  let looks = [look()];
  const timer = setInterval(() => looks.push(look()), every);
  await page.evaluate(() => {
    window.tasks = [];
    new PerformanceObserver((list) => {
      for (const { startTime, duration } of list.getEntries())
        window.tasks.push({ at: performance.timeOrigin + startTime, took: duration });
    }).observe({ type: "longtask" });
  });

  async function take() {
    const seen = await page.evaluate(() => window.tasks.splice(0));
    looks.push(look());
    const tasks = seen.map(({ at, took }) => {
      const before = looks.findLast((one) => one.at <= at) ?? looks[0];
      const after = looks.find((one) => one.at >= at + took) ?? looks.at(-1);
      const ran = after.ran - before.ran;
      const around = Math.max(0, at - before.at) + Math.max(0, after.at - at - took);
      return {
        took: Math.round(took),
        ran: Math.round(Math.min(took, ran)),
        surely: Math.round(Math.max(0, ran - around)),
      };
    });
    looks = looks.slice(-200); // an observer tells of a task a moment after its end
    return tasks;
  }

  return { take, stop: () => clearInterval(timer), ranFor: () => look().ran };
}
