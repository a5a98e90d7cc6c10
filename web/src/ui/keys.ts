// Whether a key that was pressed there is text, or means something already, so that
// it is no command of the view.
export function takesKeys(target: EventTarget | null): boolean {
  const takers = "input:not([type=radio], [type=checkbox]), textarea, select, dialog";
  return target instanceof Element && target.closest(takers) !== null;
}
