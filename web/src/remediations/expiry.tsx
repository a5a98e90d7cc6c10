import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Ago } from "../ui/when";

const soon = 10 * 60_000;

interface Props {
  time: Timestamp | undefined;
  now: number;
  verb?: string; // before what is still to come, where no heading says it
}

// When a decision will come too late; what is close stands out.
export function Expiry({ time, now, verb = "" }: Props) {
  if (!time) return <span className="text-soft">never {verb}</span>;
  const left = timestampMs(time) - now;
  if (left <= 0) return <span className="text-soft">expired</span>;
  return (
    <span className={left < soon ? "font-medium text-warning" : ""}>
      {verb}
      <Ago time={time} now={now} />
    </span>
  );
}
