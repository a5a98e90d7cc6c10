// Reads the operator's streams in a browser: node e2e/streams.mjs URL. The generated
// Connect-Web client, binary and JSON, and the browser's own WebSocket each print how
// many events they have, until standard input ends. An event that is not the next one,
// a loss or an end of a stream fails the run.
//
// The page comes from here, by routes of the browser, and is of the operator's origin.
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { onPage, told } from "./browser.mjs";

const [url] = process.argv.slice(2);
if (!url) throw new Error("the operator's URL is missing");
const root = fileURLToPath(new URL("..", import.meta.url));
const built = await build({
  configFile: `${root}/vite.config.ts`,
  root,
  logLevel: "error",
  build: {
    write: false,
    rolldownOptions: { input: `${root}/e2e/streams-page.ts`, output: { codeSplitting: false } },
  },
});
const [script] = [built].flat()[0].output;

const answers = {
  "/": {
    contentType: "text/html",
    body: '<!doctype html><title>streams</title><link rel="icon" href="data:,">',
  },
  "/page.js": { contentType: "text/javascript", body: script.code },
};
await onPage("about:blank", async (page) => {
  for (const [path, answer] of Object.entries(answers))
    await page.route(url + path, (route) => route.fulfill(answer));
  const failed = new Promise((_, reject) => {
    page.exposeFunction("failed", (who, why) => reject(new Error(`${who}: ${why}`)));
  });
  await page.exposeFunction("read", (who, events) => process.stdout.write(`${who} ${events}\n`));
  await page.goto(`${url}/`);
  await page.addScriptTag({ url: `${url}/page.js`, type: "module" });
  await Promise.race([told(), failed]);
});
