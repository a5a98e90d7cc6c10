// Somebody who has a keyboard and no mouse. After each key the focus must be
// somewhere, and must be seen there (focus.mjs); a pointer that moved or was pressed
// fails the run.
import { install } from "./focus.mjs";

const patience = 5000; // ms, until the focus is where a key put it
const most = 150; // presses of Tab on the way to one place

export async function keyboard(page) {
  await install(page);

  // Fails where the focus was lost since the last key, or does not show.
  async function hold(when) {
    const [fault, pointed] = await page.evaluate(() => [window.faultOfFocus(), window.pointed]);
    if (fault) throw new Error(`${when}: ${fault}`);
    if (pointed.length > 0) throw new Error(`${when}: a pointer was used: ${new Set(pointed)}`);
  }

  // A key may take a moment to have its effect: a view is loaded, an answer comes.
  async function settle(when) {
    await page
      .waitForFunction(() => window.faultOfFocus() === "", undefined, { timeout: patience })
      .catch(() => undefined); // what is wrong is told below
    await hold(when);
  }

  async function press(key, when = `after ${key}`) {
    await page.keyboard.press(key);
    await settle(when);
  }

  async function type(text) {
    await page.keyboard.type(text);
    await settle(`after "${text}"`);
  }

  // All at once, as from a clipboard.
  async function paste(text) {
    await page.keyboard.insertText(text);
    await settle("after what was pasted");
  }

  const isOn = (target) => target.evaluateAll((found) => found.includes(document.activeElement));

  // Presses Tab, or Shift+Tab, until the focus is on the target.
  async function to(target, { back = false } = {}) {
    await target.first().waitFor();
    await hold(`before the way to ${target}`);
    const key = back ? "Shift+Tab" : "Tab";
    for (let presses = 0; presses < most; presses++) {
      if (await isOn(target)) return;
      await press(key, `${key} on the way to ${target}`);
    }
    throw new Error(`${most} times ${key} do not lead to ${target}`);
  }

  // Stops with Tab at all that is on the way to the end of the page, and begins anew
  // there. A list may be longer than anybody walks through.
  async function through(where) {
    for (let presses = 0; presses < most; presses++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate(atTheEnd)) break;
      await settle(`stop ${presses + 1} of ${where}`);
    }
    await press("Tab", `back in ${where}`);
  }

  // Goes to a link or a button and presses Enter on it.
  async function use(target, options) {
    await to(target, options);
    await press("Enter", `after Enter on ${target}`);
  }

  // Goes to a view, or whatever else the palette finds by a name.
  async function goTo(name) {
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: "View, workload or theme" }).waitFor();
    await type(name);
    await page.locator("[role=option][aria-selected=true]").filter({ hasText: name }).waitFor();
    await press("Enter", `after "${name}" in the palette`);
  }

  // Waits for what comes without a key; the focus stays meanwhile.
  async function see(target, options) {
    await target.first().waitFor(options);
    await hold(`as ${target} came`);
  }

  return { hold, press, type, paste, to, through, use, goTo, see, isOn };
}

// Past the last control comes the browser's own, or the first one again.
function atTheEnd() {
  const at = document.activeElement;
  return at === document.body || at === document.querySelector("button, a[href]");
}
