import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Event } from "@rightsizer/api/event";
import type { Incident } from "@rightsizer/api/incident";
import type { Remediation } from "@rightsizer/api/remediation";

export type Entry =
  | { key: string; time: Timestamp; event: Event; remediation?: never }
  | { key: string; time: Timestamp; event?: never; remediation: Remediation };

// A reader wants the course of things, not a thousand repeats.
export const entryCap = 100;

// merge puts an incident's events and what was done to its workloads since it
// began in one order of time, the oldest first.
export function merge(
  incident: Incident,
  events: readonly Event[],
  remediations: readonly Remediation[],
): Entry[] {
  const problems = new Set(incident.members.map(({ problemId }) => problemId));
  const workloads = new Set(
    incident.members.map(({ namespace, workload }) => key(namespace, workload)),
  );
  const began = incident.openedTime ? timestampMs(incident.openedTime) : 0;
  const ended = incident.resolvedTime ? timestampMs(incident.resolvedTime) : Infinity;
  const entries: Entry[] = [];
  for (const event of events) {
    if (!event.occurredTime) continue;
    if (event.incidentId === incident.id || problems.has(event.problemId))
      entries.push({ key: event.id, time: event.occurredTime, event });
  }
  for (const remediation of remediations) {
    const { namespace, workload, createTime, uid, name } = remediation;
    if (!createTime || !workload || !workloads.has(key(namespace, workload))) continue;
    const made = timestampMs(createTime);
    if (made >= began && made <= ended)
      entries.push({ key: uid || `${namespace}/${name}`, time: createTime, remediation });
  }
  return entries.sort((a, b) => timestampMs(a.time) - timestampMs(b.time)).slice(0, entryCap);
}

function key(namespace: string, workload: { kind: string; name: string } | undefined): string {
  return `${namespace}/${workload?.kind}/${workload?.name}`;
}
