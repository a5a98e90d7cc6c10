import { fileURLToPath } from "node:url";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

// The operator that `npm run dev` talks to.
const operator = process.env.RIGHTSIZER_URL ?? "http://127.0.0.1:9090";

// The generated code names the descriptors of protovalidate's rules, 90 kB that
// a browser has no use for: rules are enforced by the server. An empty file
// descriptor stands in for them; an import of anything else from there fails
// the build.
function leaveOutValidationRules(): Plugin {
  const standIn = fileURLToPath(new URL("src/api/validation-rules.ts", import.meta.url));
  return {
    name: "rightsizer:leave-out-validation-rules",
    enforce: "pre",
    resolveId: (source) => (source.endsWith("/buf/validate/validate_pb") ? standIn : null),
  };
}

export default defineConfig({
  plugins: [leaveOutValidationRules(), react(), tailwindcss()],
  resolve: {
    // @rightsizer/api is a link to ../gen/ts: its imports resolve from here.
    preserveSymlinks: true,
    dedupe: ["@bufbuild/protobuf"],
  },
  optimizeDeps: { exclude: ["@rightsizer/api"] },
  server: {
    fs: { allow: [".", "../gen/ts"] },
    proxy: { "^/(rightsizer\\.v1\\.|auth/)": { target: operator } },
  },
  build: {
    target: ["chrome123", "firefox128", "safari17.5"],
    // The Content-Security-Policy allows no data: scripts or styles; a small
    // asset is better a file of its own.
    assetsInlineLimit: 0,
    // One stylesheet: that of a chunk is not asked for again where it did not come.
    cssCodeSplit: false,
    // dist/.gitkeep is committed, so that a clean clone compiles.
    emptyOutDir: true,
    rolldownOptions: {
      output: {
        // What every view needs and what changes seldom is one chunk: it compresses
        // best together and stays cached across releases. What a single view
        // needs (virtual rows, charts) is not in here.
        codeSplitting: {
          groups: [
            {
              name: "vendor",
              test: /node_modules\/(react|react-dom|scheduler|@bufbuild|@connectrpc|@tanstack\/(query|react-query|router|react-router|history|store|react-store))[/-]/,
            },
          ],
        },
      },
    },
  },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.{ts,tsx}"],
    restoreMocks: true,
    server: { deps: { inline: ["@rightsizer/api"] } },
  },
});
