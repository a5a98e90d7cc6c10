import { readFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { extname } from "node:path";

// The built page, with the policy that handler.go sends: tests in a browser run
// against what is shipped, not against Vite's development server.
const dist = `${process.cwd()}/dist`;
const policy =
  "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
  "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'";
const types: Record<string, string> = {
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".html": "text/html; charset=utf-8",
};

export function servePage(path: string, response: ServerResponse) {
  // A view's address has no file; names with a service in them are no view.
  const name = /^\/(assets\/[\w.-]+|[\w-]+\.(js|svg))$/.test(path) ? path : "/index.html";
  if (path.startsWith("/rightsizer.v1.") || path.startsWith("/auth/")) {
    response.writeHead(404).end();
    return;
  }
  try {
    const body = readFileSync(dist + name);
    response
      .writeHead(200, {
        "Content-Type": types[extname(name)] ?? "application/octet-stream",
        "Content-Security-Policy": policy,
      })
      .end(body);
  } catch {
    response.writeHead(404).end();
  }
}
