import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { timestampDate, timestampMs } from "@bufbuild/protobuf/wkt";
import { exactTime, localTime, shortTime } from "../format/time";

// A moment in the viewer's zone, the exact one on hover.
export function When({ time, exact = false }: { time: Timestamp | undefined; exact?: boolean }) {
  if (!time) return <span className="text-soft">unknown</span>;
  return (
    <time dateTime={timestampDate(time).toISOString()} title={exactTime(time)}>
      {exact ? localTime(time) : shortTime(timestampMs(time))}
    </time>
  );
}
