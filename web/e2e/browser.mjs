import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

// One headless page on Debian's Chromium, run to its end; a fault on the page (an
// exception, a refusal by the content security policy) fails the run.
export async function onPage(url, visit) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  const faults = [];
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on(
      "console",
      (message) =>
        message.type() === "error" &&
        /Content Security Policy/.test(message.text()) &&
        faults.push(message.text()),
    );
    await page.goto(url);
    await visit(page, browser);
  } finally {
    await browser.close();
  }
  if (faults.length > 0) throw new Error(`faults on the page:\n${faults.join("\n")}`);
}

// The next word of whoever started the script: it waits for what he does meanwhile.
export async function told() {
  const lines = createInterface({ input: process.stdin });
  const { value } = await lines[Symbol.asyncIterator]().next();
  lines.close();
  return value;
}
