import { type Event, Phase } from "@rightsizer/api/event";
import { memo } from "react";
import { visible } from "../format/visible";
import { SeverityMark } from "../ui/severity";
import { Untrusted } from "../ui/untrusted";
import { When } from "../ui/when";
import { placeOf } from "./place-of";

// Shared by the heads and the rows, so that they line up.
export const columns =
  "grid grid-cols-[4.5rem_5.5rem_9rem_minmax(9rem,1.3fr)_5rem_minmax(10rem,2.5fr)] items-center gap-x-2.5 px-3";

interface Props {
  event: Event;
  wide: boolean;
}

// An event never changes: a row is drawn once.
export const EventCells = memo(function EventCells({ event, wide }: Props) {
  const place = placeOf(event);
  const message = (
    <>
      {event.foundAtStart && (
        <Badge title="The cause was there when the operator started">at start</Badge>
      )}
      {event.phase === Phase.RESOLVED && <Badge title="The problem is over">resolved</Badge>}
      <Untrusted text={rowText(event)} />
    </>
  );
  if (wide)
    return (
      <div role="presentation" className={`${columns} h-full *:truncate`}>
        <span role="gridcell" className="tabular-nums">
          <When time={event.occurredTime} />
        </span>
        <span role="gridcell">
          <SeverityMark severity={event.severity} />
        </span>
        <span role="gridcell" className="font-mono text-xs">
          <Untrusted text={event.type} />
        </span>
        <span role="gridcell" title={visible(place)}>
          <Untrusted text={place} />
        </span>
        <span role="gridcell" className="text-soft">
          <Untrusted text={event.container} />
        </span>
        <span role="gridcell" title={visible(event.message)}>
          {message}
        </span>
      </div>
    );
  return (
    <div role="presentation" className="grid h-full content-center gap-0.5 px-3">
      <div role="presentation" className="flex items-center gap-2 *:shrink-0">
        <span role="gridcell" className="text-soft tabular-nums">
          <When time={event.occurredTime} />
        </span>
        <span role="gridcell">
          <SeverityMark severity={event.severity} />
        </span>
        <span role="gridcell" className="min-w-0 shrink! truncate font-mono text-xs">
          <Untrusted text={event.type} />
        </span>
      </div>
      <div role="presentation" className="flex gap-1 truncate">
        <span role="gridcell" className="truncate font-medium">
          <Untrusted text={place} />
        </span>
        <span role="gridcell" className="text-soft">
          <Untrusted text={event.container} />
        </span>
      </div>
      <span role="gridcell" className="truncate text-soft">
        {message}
      </span>
    </div>
  );
});

// What happened, without the beginning that the other columns say: "Container app of
// pod web-7c9d8b6f5-x2kq was OOM-killed" is "was OOM-killed" in a row.
export function rowText({ message, reason, container, object }: Event): string {
  const start = `${container} of pod ${object?.name} `;
  const at = container ? message.indexOf(start) : -1;
  return at === -1 ? message || reason : message.slice(at + start.length);
}

function Badge({ title, children }: { title: string; children: string }) {
  return (
    <span title={title} className="me-1.5 rounded border border-edge px-1 text-xs text-soft">
      {children}
    </span>
  );
}
