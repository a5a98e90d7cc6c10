import { getRouteApi } from "@tanstack/react-router";
import { useCallback, useDeferredValue, useMemo, useRef } from "react";
import { ViewTitle } from "../ui/view-title";
import { Announcer } from "./announcer";
import { ConnectionLine } from "./connection-line";
import { EventPanel } from "./event-panel";
import { FeedBody } from "./feed-body";
import { FeedControls } from "./feed-controls";
import { FilterBar } from "./filter-bar";
import { matching } from "./matching";
import { useFeed } from "./use-feed";
import { useFeedKeys } from "./use-feed-keys";
import { useSelection } from "./use-selection";

const route = getRouteApi("/live");

export function LiveView() {
  const filter = route.useSearch();
  const navigate = route.useNavigate();
  const feed = useFeed(filter);
  const { state } = feed;

  // Typing stays quick while thousands of rows are looked through.
  const text = useDeferredValue(filter.text ?? "");
  const rows = useMemo(() => matching(state.rows, text), [state.rows, text]);
  const grid = useRef<HTMLDivElement>(null);
  const backToList = useCallback(() => grid.current?.focus({ preventScroll: true }), []);
  const selection = useSelection(rows, backToList);
  useFeedKeys(selection, grid);

  const latest = useRef(state.rows);
  latest.current = state.rows;
  const rowsNow = useCallback(() => latest.current, []);
  const setFilter = useCallback(
    (next: typeof filter) => void navigate({ search: next, replace: true }),
    [navigate],
  );

  return (
    <>
      <div className="flex flex-wrap items-center gap-x-4 gap-y-1">
        <ViewTitle title="Live events" />
        <ConnectionLine connection={state.connection} note={state.note} retry={feed.retryNow} />
        <FeedControls state={state} shown={rows.length} setPaused={feed.setPaused} />
      </div>
      <FilterBar filter={filter} onChange={setFilter} rowsNow={rowsNow} />
      <Announcer state={state} text={text} />
      <div className="flex min-h-96 flex-1 gap-3">
        <FeedBody
          state={state}
          rows={rows}
          filter={filter}
          selection={selection}
          grid={grid}
          retry={feed.retryNow}
          clear={() => setFilter({})}
        />
        {selection.opened && <EventPanel event={selection.opened} close={selection.close} />}
      </div>
    </>
  );
}
