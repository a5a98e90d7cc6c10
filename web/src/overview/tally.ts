import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Event, Phase } from "@rightsizer/api/event";

export const minute = 60_000;

export interface Bucket {
  at: number; // ms, its begin
  kills: number;
  loops: number;
}

export interface Tally {
  buckets: Bucket[]; // one a minute, the oldest first
  kills: number;
  loops: number;
}

// tally counts kills, and crash loops as they begin, by the minute.
export function tally(events: readonly Event[], start: number, end: number): Tally {
  const buckets = Array.from({ length: Math.ceil((end - start) / minute) }, (_, index) => ({
    at: start + index * minute,
    kills: 0,
    loops: 0,
  }));
  const sum = { kills: 0, loops: 0 };
  for (const { type, phase, occurredTime } of events) {
    const bucket =
      occurredTime && buckets[Math.floor((timestampMs(occurredTime) - start) / minute)];
    if (!bucket) continue;
    if (type === "pod.oom_killed") {
      bucket.kills++;
      sum.kills++;
    } else if (type === "pod.crash_loop" && phase === Phase.OPENED) {
      bucket.loops++;
      sum.loops++;
    }
  }
  return { buckets, ...sum };
}
