// The rule that the focus is seen wherever it is, and that nobody used a pointer.
// install() puts it into a page and its successors, as window.faultOfFocus() and
// window.pointed.
export async function install(page) {
  const source = `window.faultOfFocus = ${faultOfFocus}; (${notePointer})()`;
  await page.addInitScript({ content: source });
  await page.evaluate(source);
}

// Fails where the rule does not find what is planted: a rule that cannot fail holds
// nothing.
export async function checkTheRule(page) {
  const found = await page.evaluate(() => {
    const before = document.activeElement;
    const planted = document.createElement("button");
    document.querySelector("main").append(planted);
    const faults = {};
    for (const [name, style] of Object.entries({
      unseen: "outline: none",
      pale: "outline: 2px solid transparent",
      outside: "outline: 2px solid; position: fixed; left: -200px; width: 50px",
      beyond: "outline: 2px solid; outline-offset: 5000px",
    })) {
      planted.style.cssText = style;
      planted.focus();
      faults[name] = window.faultOfFocus();
    }
    planted.remove();
    faults.lost = window.faultOfFocus();
    before?.focus();
    return faults;
  });
  const missed = Object.keys(found).filter((name) => found[name] === "");
  if (missed.length > 0) throw new Error(`the rule of the focus misses what is ${missed}`);
}

function notePointer() {
  window.pointed = [];
  for (const type of [
    "pointerdown",
    "pointermove",
    "mousedown",
    "mousemove",
    "wheel",
    "touchstart",
  ])
    addEventListener(type, (event) => event.isTrusted && window.pointed.push(type), {
      capture: true,
      passive: true,
    });
}

// faultOfFocus runs in the page. What has the focus, or what stands for it (the label
// of a choice, the frame of a field), has an outline of which one side at least is in
// sight, and is not under something else.
function faultOfFocus() {
  const at = document.activeElement;
  if (!at || at === document.body) return "the focus is nowhere";
  const what = at.outerHTML.slice(0, 160);

  const outlined = (element) => {
    const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(element);
    const clear = /(?:, |\/ )0(?:\.0+)?\)$/.test(outlineColor) || outlineColor === "transparent";
    return outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2 && !clear;
  };
  const shown = [at.parentElement?.parentElement, at.parentElement, at].find(
    (element) => element && outlined(element),
  );
  if (!shown) return `the focus does not show on ${what}`;

  // What of the page is in sight there: each ancestor that clips cuts it.
  const sight = { left: 0, top: 0, right: innerWidth, bottom: innerHeight };
  const topmost = shown.closest("dialog:modal");
  for (
    let around = shown.parentElement;
    around && around !== document.documentElement && !(topmost && !topmost.contains(around));
    around = around.parentElement
  ) {
    if (getComputedStyle(around).overflow === "visible") continue;
    const inner = around.getBoundingClientRect();
    const left = inner.left + around.clientLeft;
    const top = inner.top + around.clientTop;
    sight.left = Math.max(sight.left, left);
    sight.top = Math.max(sight.top, top);
    sight.right = Math.min(sight.right, left + around.clientWidth);
    sight.bottom = Math.min(sight.bottom, top + around.clientHeight);
  }
  const { outlineOffset, outlineWidth } = getComputedStyle(shown);
  const out = Number.parseFloat(outlineOffset) + Number.parseFloat(outlineWidth) / 2;
  const box = shown.getBoundingClientRect();
  const [left, top, right, bottom] = [
    box.left - out,
    box.top - out,
    box.right + out,
    box.bottom + out,
  ];
  const across = Math.min(right, sight.right) - Math.max(left, sight.left) > 4;
  const down = Math.min(bottom, sight.bottom) - Math.max(top, sight.top) > 4;
  const seen =
    (down &&
      ((left >= sight.left && left < sight.right) ||
        (right <= sight.right && right > sight.left))) ||
    (across &&
      ((top >= sight.top && top < sight.bottom) || (bottom <= sight.bottom && bottom > sight.top)));
  if (!seen) return `the outline of ${what} is out of sight`;

  const x = (Math.max(box.left, sight.left) + Math.min(box.right, sight.right)) / 2;
  const y = (Math.max(box.top, sight.top) + Math.min(box.bottom, sight.bottom)) / 2;
  const over = document.elementFromPoint(x, y);
  if (over && !shown.contains(over) && !over.contains(shown))
    return `${what} is under <${over.localName}> ${over.textContent?.trim().slice(0, 40)}`;
  return "";
}
