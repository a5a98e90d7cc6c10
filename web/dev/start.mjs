// npm run dev:fake: the dashboard against an invented operator, for work on the
// page without a cluster. `--backend` starts the invented operator alone.
//   RATE   events a second (2)         STARTING  seconds of start (0)
//   PORT   of the backend (9191); 0 for any, alone
import { createServer } from "vite";

const port = Number(process.env.PORT ?? 9191);
process.env.RIGHTSIZER_URL = `http://127.0.0.1:${port}`;
const alone = process.argv.includes("--backend");

// Vite loads the backend too: it is TypeScript, as is the generated API.
const vite = await createServer({
  ...(alone && { server: { middlewareMode: true, ws: false, hmr: false } }),
  ssr: { noExternal: ["@rightsizer/api"] },
});
const { listen } = await vite.ssrLoadModule("/dev/backend.ts");
const at = await listen({
  port,
  rate: Number(process.env.RATE ?? 2),
  startingSeconds: Number(process.env.STARTING ?? 0),
});
console.log(`invented operator on http://127.0.0.1:${at}`);
if (!alone) {
  await vite.listen();
  vite.printUrls();
}
