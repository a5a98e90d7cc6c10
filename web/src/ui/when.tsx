import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { timestampDate, timestampMs } from "@bufbuild/protobuf/wkt";
import { ago, exactTime, localTime, shortTime, span } from "../format/time";

// A moment in the viewer's zone, the exact one on hover.
export function When({ time, exact = false }: { time: Timestamp | undefined; exact?: boolean }) {
  if (!time) return <span className="text-soft">unknown</span>;
  return (
    <time dateTime={timestampDate(time).toISOString()} title={exactTime(time)}>
      {exact ? localTime(time) : shortTime(timestampMs(time))}
    </time>
  );
}

// How long ago, or ahead, a moment is: "4 min ago", "in 2 h 5 min".
export function Ago({ time, now }: { time: Timestamp | undefined; now: number }) {
  if (!time) return <span className="text-soft">unknown</span>;
  const distance = now - timestampMs(time);
  return (
    <time dateTime={timestampDate(time).toISOString()} title={exactTime(time)}>
      {distance > -1000 ? ago(distance) : `in ${span(-distance)}`}
    </time>
  );
}
