// Reads the operator's streams in a browser: node e2e/streams.mjs URL. The generated
// Connect-Web client, binary and JSON, and the browser's own WebSocket each print how
// many events they have, until standard input ends. An event that is not the next one,
// a loss or an end of a stream fails the run.
//
// The page at URL is the server's, whatever it shows, so that Chromium knows of what
// network it is; the script on it comes from here.
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

await onPage(`${url}/`, async (page) => {
  await page.route(`${url}/page.js`, (route) =>
    route.fulfill({ contentType: "text/javascript", body: script.code }),
  );
  const failed = new Promise((_, reject) => {
    page.exposeFunction("failed", (who, why) => reject(new Error(`${who}: ${why}`)));
  });
  await page.exposeFunction("read", (who, events) => process.stdout.write(`${who} ${events}\n`));
  await page.addScriptTag({ url: `${url}/page.js`, type: "module" });
  await Promise.race([told(), failed]);
});
