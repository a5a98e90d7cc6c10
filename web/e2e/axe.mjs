import { readFile } from "node:fs/promises";

const source = await readFile(
  new URL("../node_modules/axe-core/axe.min.js", import.meta.url),
  "utf8",
);

// target-size is of WCAG 2.2, and off unless it is asked for.
const options = JSON.stringify({ rules: { "target-size": { enabled: true } } });

// Fails where axe finds anything. It comes past the policy of the page, as a
// debugger would.
export async function check(page, where) {
  const found = await page.evaluate(`(() => { ${source}; return axe.run(${options}); })()`);
  const violations = found.violations.map(
    ({ id, nodes }) =>
      `${id}: ${nodes
        .slice(0, 3)
        .map(({ html }) => html.slice(0, 200))
        .join(" | ")}`,
  );
  if (violations.length > 0) throw new Error(`axe on ${where}:\n${violations.join("\n")}`);
}

// Fails where axe finds nothing in a page that has faults: a check that cannot fail
// checks nothing.
export async function checkTheCheck(page) {
  await page.evaluate(() => {
    const planted = document.createElement("div");
    planted.id = "planted";
    for (const name of ["", "small", "and close"]) {
      const button = document.createElement("button");
      button.textContent = name;
      button.style.cssText = "width: 10px; height: 10px; padding: 0; overflow: hidden";
      planted.append(button);
    }
    document.querySelector("main")?.append(planted);
  });
  const found = await check(page, "a page with planted faults").then(
    () => "",
    (fault) => String(fault),
  );
  await page.evaluate(() => document.getElementById("planted")?.remove());
  for (const fault of ["button-name", "target-size"])
    if (!found.includes(fault)) throw new Error(`axe misses ${fault}: ${found}`);
}
