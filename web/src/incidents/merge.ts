import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Event } from "@rightsizer/api/event";
import type { Incident } from "@rightsizer/api/incident";
import type { Remediation } from "@rightsizer/api/remediation";

export type Entry =
  | { key: string; time: Timestamp; event: Event; remediation?: never }
  | { key: string; time: Timestamp; event?: never; remediation: Remediation };

// A reader wants the course of things, not a thousand repeats.
export const entryCap = 100;

export interface Course {
  entries: Entry[];
  left: number; // how many between the first shown and the others are left out
}

// merge puts an incident's events and what was done to its workloads since it
// began in one order of time, the oldest first. Of too many it keeps how its root
// began, and the newest.
export function merge(
  incident: Incident,
  events: readonly Event[],
  remediations: readonly Remediation[],
): Course {
  const problems = new Set(incident.members.map(({ problemId }) => problemId));
  const workloads = new Set(
    incident.members.map(({ namespace, workload }) => key(namespace, workload)),
  );
  const began = incident.openedTime ? timestampMs(incident.openedTime) : 0;
  const ended = incident.resolvedTime ? timestampMs(incident.resolvedTime) : Infinity;
  const entries: Entry[] = [];
  // An event may come with its workload and with its node.
  const seen = new Set<string>();
  for (const event of events) {
    if (!event.occurredTime || seen.has(event.id)) continue;
    seen.add(event.id);
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
  entries.sort((a, b) => timestampMs(a.time) - timestampMs(b.time));
  const left = Math.max(0, entries.length - entryCap);
  if (left === 0) return { entries, left };
  const newest = entries.slice(1 - entryCap);
  const root =
    entries.find(({ event }) => event?.problemId === incident.rootProblemId) ?? entries[0];
  const kept = root && !newest.includes(root) ? [root, ...newest] : entries.slice(-entryCap);
  return { entries: kept, left };
}

function key(namespace: string, workload: { kind: string; name: string } | undefined): string {
  return `${namespace}/${workload?.kind}/${workload?.name}`;
}
