import { type RefObject, useEffect } from "react";
import { singleKeys, takesKeys } from "../ui/keys";

// Keys that hold in every view: ⌘K or Ctrl+K opens the palette, / goes to the
// view's search, j and k walk the rows of its table, unless single keys are off. The live feed has keys of its
// own beside these (feed/use-feed-keys.ts).
export function useShellKeys(main: RefObject<HTMLElement | null>, openPalette: () => void) {
  useEffect(() => {
    function press(event: KeyboardEvent) {
      if (event.defaultPrevented) return;
      if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        openPalette();
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || takesKeys(event.target)) return;
      if (!singleKeys()) return;
      const taken =
        event.key === "/"
          ? search(main.current)
          : event.key === "j"
            ? walk(main.current, 1)
            : event.key === "k"
              ? walk(main.current, -1)
              : false;
      if (taken) event.preventDefault();
    }
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [main, openPalette]);
}

// The field for text of the view's <search>, or else its first, which may be folded
// away.
function search(view: HTMLElement | null): boolean {
  const field =
    view?.querySelector<HTMLElement>("search input[type=search]") ??
    view?.querySelector<HTMLElement>(
      "search :is(input:not([type=radio], [type=checkbox]), select)",
    );
  field?.closest("details")?.setAttribute("open", "");
  field?.focus();
  return field !== null && field !== undefined;
}

// A row is stood on by what it is opened with: its first link or button.
function walk(view: HTMLElement | null, by: number): boolean {
  const rows = [...(view?.querySelectorAll<HTMLElement>("[data-row]") ?? [])];
  if (rows.length === 0) return false;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[at === -1 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by))];
  const handle = next?.querySelector<HTMLElement>("a, button, summary");
  handle?.focus();
  return handle !== null && handle !== undefined;
}
