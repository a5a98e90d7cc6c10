import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { clockTime } from "../format/time";
import { visible } from "../format/visible";
import { GapIcon } from "../ui/icons";
import { When } from "../ui/when";
import { lostText } from "./connection-line";
import type { Mark } from "./feed-state";

// A place where the list is not whole, across all columns.
export function MarkCell({ mark, at }: { mark: Mark; at: number }) {
  const { title, why } = words(mark);
  return (
    <div
      role="gridcell"
      aria-colspan={6}
      title={visible(why)}
      className="flex h-full items-center gap-2 bg-warning-fill px-3 text-warning"
    >
      <GapIcon />
      <span className="shrink-0 tabular-nums max-sm:hidden">
        <When time={timestampFromMs(at)} />
      </span>
      <span className="line-clamp-3">
        <strong>{title}</strong> {visible(why)}
      </span>
    </div>
  );
}

function words(mark: Mark): { title: string; why: string } {
  switch (mark.kind) {
    case "lost":
      return {
        title: `${lostText(mark.count, mark.bound)} here.`,
        why: "They came faster than this page took them, or while it was away for long.",
      };
    case "resync": {
      const since = mark.since ? ` from ${clockTime(timestampMs(mark.since))} to now` : "";
      return { title: `The operator did not see ${mark.scope}${since}.`, why: mark.reason };
    }
    case "reset":
      return {
        title: "The stream started afresh here.",
        why: `What came and went in between is not in this list: ${mark.reason || "no reason given"}.`,
      };
  }
}
