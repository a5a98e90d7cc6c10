import type { RefObject } from "react";
import { Empty } from "../ui/empty";
import { FailureNotice } from "../ui/failure-notice";
import { SkeletonRows } from "../ui/skeleton";
import { EventList } from "./event-list";
import type { FeedState, Row } from "./feed-state";
import type { FeedFilter } from "./filter";
import type { Selection } from "./use-selection";

interface Props {
  state: FeedState;
  rows: readonly Row[];
  filter: FeedFilter;
  selection: Selection;
  grid: RefObject<HTMLDivElement | null>;
  retry: () => void;
  clear: () => void;
}

// The list, or why there is none: still loading, refused, out of reach, nothing
// that matches, nothing at all. Each is its own answer.
export function FeedBody({ state, rows, filter, selection, grid, retry, clear }: Props) {
  const { connection } = state;
  // An outage is one answer, however often the operator is asked anew meanwhile.
  const why = "failure" in connection ? connection.failure : undefined;
  if (rows.length > 0) return <EventList rows={rows} selection={selection} grid={grid} />;
  return (
    <div className="panel flex min-w-0 flex-1 flex-col">
      {why ? (
        <FailureNotice failure={why} retry={retry} />
      ) : !state.loaded ? (
        <SkeletonRows what="events" rows={10} />
      ) : connection.state !== "live" ? (
        <Empty title="Reconnecting">Whether there is anything to see is known in a moment.</Empty>
      ) : state.paused ? (
        <Empty title="Paused">What happens meanwhile is held back; Resume shows it.</Empty>
      ) : Object.keys(filter).length > 0 ? (
        <Empty title="No event matches the filter">
          The feed is connected; a matching event shows here as it happens.{" "}
          <button type="button" className="bare-link underline" onClick={clear}>
            Clear the filter
          </button>
        </Empty>
      ) : (
        <Empty title="Nothing has gone wrong so far">
          The feed is connected. OOM kills, crash loops and other trouble with resources show here
          within a moment of happening. <code>rightsizer events -f</code> shows the same on a
          terminal.
        </Empty>
      )}
    </div>
  );
}
