import { type RefObject, useEffect } from "react";
import { singleKeys, takesKeys } from "../ui/keys";
import type { Selection } from "./use-selection";

// j and k walk, Enter opens, Esc closes; / is the shell's (app/use-shell-keys.ts).
// They hold in the whole view, except where keys mean text or already mean something.
// Whoever walks stands on the grid, so that his screen reader reads the row and Tab
// goes on from there.
export function useFeedKeys(selection: Selection, grid: RefObject<HTMLElement | null>) {
  useEffect(() => {
    function press(event: KeyboardEvent) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (event.key === "Escape") {
        // A dialog closes itself.
        if (!inside(event, "dialog") && selection.opened) selection.close();
        return;
      }
      if (takesKeys(event.target)) return;
      switch (event.key) {
        case "j":
          if (!singleKeys()) return;
          selection.move(1);
          grid.current?.focus({ preventScroll: true });
          break;
        case "k":
          if (!singleKeys()) return;
          selection.move(-1);
          grid.current?.focus({ preventScroll: true });
          break;
        case "Enter":
          if (inside(event, "a, button, summary")) return;
          selection.openActive();
          break;
        default:
          return;
      }
      event.preventDefault();
    }
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [selection, grid]);
}

function inside(event: KeyboardEvent, selector: string): boolean {
  return event.target instanceof Element && event.target.closest(selector) !== null;
}
