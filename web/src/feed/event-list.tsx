import { useVirtualizer } from "@tanstack/react-virtual";
import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef } from "react";
import { plural } from "../format/quantity";
import { useWidth } from "../ui/use-width";
import { columns, EventCells } from "./event-cells";
import type { Row } from "./feed-state";
import { MarkCell } from "./mark-cell";
import { useKeptPlace } from "./use-kept-place";
import type { Selection } from "./use-selection";

interface Props {
  rows: readonly Row[]; // oldest first
  selection: Selection;
  grid: RefObject<HTMLDivElement | null>;
}

// Below this width a row is three lines instead of columns.
const wideFrom = 760;
const lineHeight = 32;
const cardHeight = 84;

const heads = ["Time", "Severity", "Type", "Workload", "Container", "Message"];
const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 };

// EventList shows the newest on top and draws what is in sight only. Whoever has
// scrolled down keeps his place while rows come in above.
export function EventList({ rows, selection, grid }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const width = useWidth(scroller);
  const wide = width === 0 || width >= wideFrom;
  const height = wide ? lineHeight : cardHeight;
  const { activeKey, move, open } = selection;

  const rowAt = useCallback((index: number) => rows[rows.length - 1 - index], [rows]);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    getItemKey: (index) => rowAt(index)?.key ?? index,
    overscan: 6,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: the layout changes all sizes
  useLayoutEffect(() => virtual.measure(), [virtual, height]);
  const above = useKeptPlace(rows, scroller, height);

  const found = activeKey === undefined ? -1 : rows.findLastIndex(({ key }) => key === activeKey);
  const activeIndex = found === -1 ? -1 : rows.length - 1 - found;
  // To the row that was walked to; not again when rows above move it.
  const target = useRef(activeIndex);
  target.current = activeIndex;
  useEffect(() => {
    if (activeKey !== undefined && target.current >= 0) virtual.scrollToIndex(target.current);
  }, [activeKey, virtual]);

  const items = virtual.getVirtualItems();
  return (
    <div className="panel relative flex min-w-0 flex-1 flex-col overflow-hidden">
      {above > 0 && (
        <button
          type="button"
          className="absolute top-10 left-1/2 z-10 -translate-x-1/2 rounded-full bg-accent px-3 py-1 text-on-accent shadow"
          onClick={() => scroller.current?.scrollTo({ top: 0 })}
        >
          {plural(above, "new row")} above
        </button>
      )}
      <div
        ref={grid}
        role="grid"
        aria-label="Events, the newest first"
        aria-rowcount={rows.length + 1}
        aria-activedescendant={
          items.some(({ index }) => index === activeIndex) ? `row-${activeKey}` : undefined
        }
        tabIndex={0}
        className="flex min-h-0 flex-1 flex-col -outline-offset-2"
        onKeyDown={(press) => {
          const by = steps[press.key];
          if (by === undefined) return;
          press.preventDefault();
          move(by);
        }}
      >
        <div
          role="rowgroup"
          className={wide ? "border-b border-line bg-raised text-soft" : "sr-only"}
        >
          <div role="row" tabIndex={-1} aria-rowindex={1} className={`${columns} h-8`}>
            {heads.map((name) => (
              <span key={name} role="columnheader" className="font-semibold">
                {name}
              </span>
            ))}
          </div>
        </div>
        <div
          ref={scroller}
          role="rowgroup"
          className="min-h-0 flex-1 overflow-y-scroll -outline-offset-2 [overflow-anchor:none]"
        >
          <div role="presentation" className="relative" style={{ height: virtual.getTotalSize() }}>
            {items.map(({ index, key, start, size }) => {
              const row = rowAt(index);
              return (
                row && (
                  // biome-ignore lint/a11y/useKeyWithClickEvents: the grid has the keys, see use-feed-keys.ts
                  <div
                    key={key}
                    id={`row-${row.key}`}
                    role="row"
                    tabIndex={-1}
                    aria-rowindex={index + 2}
                    aria-selected={index === activeIndex}
                    className="absolute inset-x-0 border-b border-line outline-none hover:bg-raised aria-selected:bg-raised aria-selected:shadow-[inset_3px_0_var(--color-accent)]"
                    style={{ height: size, transform: `translateY(${start}px)` }}
                    onClick={() => {
                      open(row);
                      // The row may scroll out of sight, and out of the page.
                      grid.current?.focus({ preventScroll: true });
                    }}
                  >
                    {row.mark ? (
                      <MarkCell mark={row.mark} at={row.at} />
                    ) : (
                      <EventCells event={row.event} wide={wide} />
                    )}
                  </div>
                )
              );
            })}
          </div>
        </div>
      </div>
    </div>
  );
}
