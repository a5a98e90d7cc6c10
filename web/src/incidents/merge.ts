import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Event } from "@rightsizer/api/event";
import type { Incident } from "@rightsizer/api/incident";
import type { Remediation } from "@rightsizer/api/remediation";

export type Entry =
  | { key: string; time: Timestamp; event: Event; remediation?: never }
  | { key: string; time: Timestamp; event?: never; remediation: Remediation };

// A reader wants the course of things, not a thousand repeats.
export const eventCap = 100;

export interface Course {
  entries: Entry[];
  left: number; // how many events between the first shown and the others are left out
}

// merge puts an incident's events and what was done to its workloads since it
// began in one order of time, the oldest first. Of too many events it keeps how its
// root began, as far as it was given that, and the newest; of what was done, which is
// seldom, everything.
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
  const happened: Entry[] = [];
  const done: Entry[] = [];
  // An event may come with its workload and with its node.
  const seen = new Set<string>();
  for (const event of events) {
    if (!event.occurredTime || seen.has(event.id)) continue;
    seen.add(event.id);
    if (event.incidentId === incident.id || problems.has(event.problemId))
      happened.push({ key: event.id, time: event.occurredTime, event });
  }
  for (const remediation of remediations) {
    const { namespace, workload, createTime, uid, name } = remediation;
    if (!createTime || !workload || !workloads.has(key(namespace, workload))) continue;
    const made = timestampMs(createTime);
    if (made >= began && made <= ended)
      done.push({ key: uid || `${namespace}/${name}`, time: createTime, remediation });
  }
  happened.sort(byTime);
  const kept = cut(happened, incident.rootProblemId);
  return { entries: [...kept, ...done].sort(byTime), left: happened.length - kept.length };
}

function cut(happened: Entry[], rootProblemId: string): Entry[] {
  if (happened.length <= eventCap) return happened;
  const newest = happened.slice(1 - eventCap);
  const root = happened.find(({ event }) => event?.problemId === rootProblemId) ?? happened[0];
  return root && !newest.includes(root) ? [root, ...newest] : happened.slice(-eventCap);
}

function byTime(a: Entry, b: Entry): number {
  return timestampMs(a.time) - timestampMs(b.time);
}

function key(namespace: string, workload: { kind: string; name: string } | undefined): string {
  return `${namespace}/${workload?.kind}/${workload?.name}`;
}
