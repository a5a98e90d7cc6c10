import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { EventService } from "@rightsizer/api/event_service";
import { keepPreviousData } from "@tanstack/react-query";
import { plural } from "../format/quantity";
import { clockTime } from "../format/time";
import { Card } from "../ui/card";
import { Loaded } from "../ui/loaded";
import { useNow } from "../ui/use-now";
import { Histogram } from "./histogram";
import { More } from "./more";
import { minute, tally } from "./tally";

const hours = 1;

// OOM kills and crash loops by the minute over the last hour, from the events
// that the operator still holds.
export function TroubleCard() {
  const end = (Math.floor(useNow(10_000) / minute) + 1) * minute;
  const start = end - hours * 60 * minute;
  const query = useQuery(
    EventService.method.listEvents,
    {
      filter: { eventTypes: ["pod.oom_killed", "pod.crash_loop"], allowedOnly: true },
      startTime: timestampFromMs(start),
      pageSize: 1000,
    },
    { placeholderData: keepPreviousData, refetchInterval: 5000 },
  );
  return (
    <Card
      title="OOM kills and crash loops, last hour"
      aside={
        <More to="/live" search={{ type: "pod.oom_killed,pod.crash_loop" }}>
          Follow live
        </More>
      }
    >
      <Loaded query={query} what="the last hour" rows={4}>
        {({ events, nextPageToken, completeSince }) => {
          const oldest = nextPageToken ? events.at(-1)?.occurredTime : completeSince;
          const knownFrom = Math.max(start, oldest ? timestampMs(oldest) : start);
          const { buckets, kills, loops } = tally(events, start, end);
          const since = knownFrom > start ? `since ${clockTime(knownFrom)}` : "in the last hour";
          return (
            <div className="flex flex-col gap-2 p-3">
              <Histogram
                buckets={buckets}
                start={start}
                end={end}
                knownFrom={knownFrom}
                label={`${plural(kills, "OOM kill")} and ${plural(loops, "crash loop")} ${since}`}
              />
              <p className="flex flex-wrap gap-x-5 text-xs text-soft tabular-nums">
                <span className="flex items-center gap-1.5">
                  <span aria-hidden="true" className="size-2 rounded-xs bg-error" />
                  {plural(kills, "OOM kill")}
                </span>
                <span className="flex items-center gap-1.5">
                  <span
                    aria-hidden="true"
                    className="h-2 w-2 rounded-xs border border-warning bg-warning/40"
                  />
                  {plural(loops, "crash loop")} begun
                </span>
                {knownFrom > start && (
                  <span>
                    {nextPageToken
                      ? `Only the latest 1,000 are counted, ${since}.`
                      : `The operator holds events ${since}; not all is known of what was before.`}
                  </span>
                )}
              </p>
            </div>
          );
        }}
      </Loaded>
    </Card>
  );
}
