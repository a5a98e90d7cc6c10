import { type RefObject, useEffect, useLayoutEffect, useRef, useState } from "react";
import type { Row } from "./feed-state";

// Rows come in on top. useKeptPlace moves the scroll position by their height
// when the reader has scrolled down, and returns how many came in above since.
export function useKeptPlace(
  rows: readonly Row[],
  scroller: RefObject<HTMLElement | null>,
  height: number,
): number {
  const newest = useRef<string>(undefined);
  const [above, setAbove] = useState(0);

  useLayoutEffect(() => {
    const before = newest.current;
    newest.current = rows[rows.length - 1]?.key;
    const element = scroller.current;
    if (!element || before === undefined || element.scrollTop < height) return;
    const at = rows.findLastIndex(({ key }) => key === before);
    // Gone by another filter: nothing to keep a place in.
    if (at === -1) return;
    const added = rows.length - 1 - at;
    if (added === 0) return;
    element.scrollTop += added * height;
    setAbove((count) => count + added);
  }, [rows, scroller, height]);

  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const scrolled = () => {
      if (element.scrollTop < height) setAbove(0);
    };
    element.addEventListener("scroll", scrolled, { passive: true });
    return () => element.removeEventListener("scroll", scrolled);
  }, [scroller, height]);

  return above;
}
