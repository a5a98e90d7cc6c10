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

// Fails where axe finds nothing in a page that has a fault: a check that cannot
// fail checks nothing.
export async function checkTheCheck(page) {
  await page.evaluate(() => {
    const button = document.createElement("button");
    button.id = "planted"; // without a name
    document.querySelector("main")?.append(button);
  });
  const found = await check(page, "a page with a planted fault").then(
    () => "",
    (fault) => String(fault),
  );
  await page.evaluate(() => document.getElementById("planted")?.remove());
  if (!found.includes("button-name")) throw new Error(`axe misses a nameless button: ${found}`);
}
