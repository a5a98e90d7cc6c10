import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { type Event, Phase } from "@rightsizer/api/event";
import type { Remediation } from "@rightsizer/api/remediation";
import type { MarkKind } from "../chart/marks";

// An event, or an action of the operator, in the life of a workload.
export type Happening = { key: string; time: Timestamp; kind: MarkKind | undefined } & (
  | { event: Event; remediation?: never }
  | { event?: never; remediation: Remediation }
);

// Of a process too, whose container lives on.
const oom = ["pod.oom_killed", "pod.process_oom_killed", "pod.crash_loop", "node.system_oom"];

// Which mark an event makes in the plots; most make none, and neither does the end
// of a problem.
export function markOf({ type, phase }: Pick<Event, "type" | "phase">): MarkKind | undefined {
  if (phase === Phase.RESOLVED) return undefined;
  // A crash loop is updated by each further crash.
  if (oom.includes(type)) return "oom";
  if (phase === Phase.UPDATED) return undefined;
  if (type.startsWith("pod.resize.")) return "resize";
  if (/\.(scaled|rollout_started|rolled)$/.test(type)) return "deploy";
  return undefined;
}

// happeningsOf puts both in one order of time, the latest first.
export function happeningsOf(
  events: readonly Event[],
  remediations: readonly Remediation[],
  from: number,
): Happening[] {
  const all: Happening[] = [];
  for (const event of events)
    if (event.occurredTime)
      all.push({ key: event.id, time: event.occurredTime, kind: markOf(event), event });
  for (const remediation of remediations) {
    const { createTime, namespace, name } = remediation;
    if (createTime)
      all.push({ key: `${namespace}/${name}`, time: createTime, kind: "action", remediation });
  }
  return all
    .filter(({ time }) => timestampMs(time) >= from)
    .sort((a, b) => timestampMs(b.time) - timestampMs(a.time));
}
