import { readFile } from "node:fs/promises";

const source = await readFile(
  new URL("../node_modules/axe-core/axe.min.js", import.meta.url),
  "utf8",
);

// Fails where axe finds anything. It comes past the policy of the page, as a
// debugger would.
export async function check(page, where) {
  const found = await page.evaluate(`(() => { ${source}; return axe.run(); })()`);
  const violations = found.violations.map(
    ({ id, nodes }) =>
      `${id}: ${nodes
        .slice(0, 3)
        .map(({ html }) => html.slice(0, 200))
        .join(" | ")}`,
  );
  if (violations.length > 0) throw new Error(`axe on ${where}:\n${violations.join("\n")}`);
}
