import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Event } from "@rightsizer/api/event";
import type { Remediation } from "@rightsizer/api/remediation";
import type { MarkKind } from "../chart/marks";

// An event, or an action of the operator, in the life of a workload.
export type Happening = { key: string; time: Timestamp; kind: MarkKind | undefined } & (
  | { event: Event; remediation?: never }
  | { event?: never; remediation: Remediation }
);

// Which mark an event makes in the plots; most make none.
export function markOf(type: string): MarkKind | undefined {
  if (type === "pod.oom_killed" || type === "pod.crash_loop" || type === "node.system_oom")
    return "oom";
  if (type.includes("resize")) return "resize";
  if (/^(deployment|statefulset|daemonset|workload)\./.test(type)) return "deploy";
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
      all.push({ key: event.id, time: event.occurredTime, kind: markOf(event.type), event });
  for (const remediation of remediations) {
    const { createTime, namespace, name } = remediation;
    if (createTime)
      all.push({ key: `${namespace}/${name}`, time: createTime, kind: "action", remediation });
  }
  return all
    .filter(({ time }) => timestampMs(time) >= from)
    .sort((a, b) => timestampMs(b.time) - timestampMs(a.time));
}
