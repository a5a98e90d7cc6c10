// Whether a key that was pressed there is text, or means something already, so that
// it is no command of the view.
export function takesKeys(target: EventTarget | null): boolean {
  const takers = "input:not([type=radio], [type=checkbox]), textarea, select, dialog";
  return target instanceof Element && target.closest(takers) !== null;
}

// Keys without a modifier (/, j, k) do something in a view, unless the viewer turned
// them off: whoever speaks to his computer may not be able to have them.
const stored = "rightsizer.single-keys";
let here: boolean | undefined; // where nothing can be stored

export function singleKeys(): boolean {
  try {
    return here ?? localStorage.getItem(stored) !== "off";
  } catch {
    return here ?? true;
  }
}

export function turnSingleKeys(on: boolean) {
  try {
    if (on) localStorage.removeItem(stored);
    else localStorage.setItem(stored, "off");
    here = undefined;
  } catch {
    here = on;
  }
}
