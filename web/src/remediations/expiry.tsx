import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Ago } from "../ui/when";

const soon = 10 * 60_000;

// When a decision will come too late; what is close stands out.
export function Expiry({ time, now }: { time: Timestamp | undefined; now: number }) {
  if (!time) return <span className="text-soft">never</span>;
  const left = timestampMs(time) - now;
  if (left <= 0) return <span className="text-soft">too late now</span>;
  return (
    <span className={left < soon ? "font-medium text-warning" : ""}>
      <Ago time={time} now={now} />
    </span>
  );
}
