import { useQuery } from "@connectrpc/connect-query";
import { EventService } from "@rightsizer/api/event_service";
import type { Incident } from "@rightsizer/api/incident";
import { RemediationService } from "@rightsizer/api/remediation_service";
import { Link } from "@tanstack/react-router";
import { count, plural } from "../format/quantity";
import { actionName } from "../remediations/action";
import { StateBadge } from "../remediations/states";
import { isPending, PartNote, partOf, whole } from "../ui/part";
import { SeverityMark } from "../ui/severity";
import { SkeletonRows } from "../ui/skeleton";
import { Untrusted } from "../ui/untrusted";
import { When } from "../ui/when";
import { type Entry, merge } from "./merge";
import { namespacesOf, nodesOf, workloadsOf } from "./rules";

const pageSizes = { events: 500, actions: 200 };

// What happened and what was done, in one order of time.
export function IncidentTimeline({ incident }: { incident: Incident }) {
  const namespaces = namespacesOf(incident).slice(0, 256);
  const workloads = workloadsOf(incident).slice(0, 256);
  const nodes = nodesOf(incident).slice(0, 256);
  const since = incident.openedTime && { startTime: incident.openedTime };
  const events = useQuery(
    EventService.method.listEvents,
    {
      filter: { namespaces, workloads, allowedOnly: namespaces.length === 0 },
      ...since,
      pageSize: pageSizes.events,
    },
    { refetchInterval: 10_000, retry: false },
  );
  const ofNodes = useQuery(
    EventService.method.listEvents,
    { filter: { nodes, allowedOnly: true }, ...since, pageSize: pageSizes.events },
    { refetchInterval: 10_000, retry: false, enabled: nodes.length > 0 },
  );
  const remediations = useQuery(
    RemediationService.method.listRemediations,
    { namespaces, pageSize: pageSizes.actions, allowedOnly: namespaces.length === 0 },
    { refetchInterval: 10_000, retry: false },
  );
  const { entries, left } = merge(
    incident,
    [...(events.data?.events ?? []), ...(ofNodes.data?.events ?? [])],
    remediations.data?.remediations ?? [],
  );
  const happened = partOf(events);
  const onNodes = partOf(ofNodes);
  const done = partOf(remediations);
  const unlisted = incident.memberCount - incident.members.length;
  return (
    <div className="flex flex-col gap-2 p-4">
      <h3 className="text-xs font-medium text-soft">What happened and what was done</h3>
      <PartNote
        part={happened}
        what="Events"
        cut={`Only the newest ${count(pageSizes.events)} events were looked at.`}
      />
      <PartNote
        part={onNodes}
        what="Events of its nodes"
        cut={`Only the newest ${count(pageSizes.events)} events of its nodes were looked at.`}
      />
      {left > 0 && (
        <p role="status" className="text-soft">
          {plural(left, "more event")} left out: shown are{" "}
          {happened.cut || onNodes.cut ? "the first of those looked at" : "how it began"} and the
          newest.
        </p>
      )}
      {isPending(happened) ? (
        <SkeletonRows what="the timeline" rows={4} />
      ) : (
        entries.length === 0 &&
        whole(happened) &&
        (nodes.length === 0 || whole(onNodes)) && (
          <p className="text-soft">
            Its events are no longer held; the problems above say how it began.
          </p>
        )
      )}
      <ol className="flex flex-col">
        {entries.map((entry) => (
          <Line key={entry.key} entry={entry} />
        ))}
      </ol>
      <PartNote
        part={done}
        what="Actions"
        cut={`Only the newest ${count(pageSizes.actions)} actions were looked at.`}
      />
      {unlisted > 0 ? (
        <p className="text-soft">
          What was done about the {plural(unlisted, "problem")} beyond the list is not shown.
        </p>
      ) : (
        whole(done) &&
        !entries.some((entry) => entry.remediation) && (
          <p className="text-soft">Nothing was done about it by the operator.</p>
        )
      )}
    </div>
  );
}

function Line({ entry }: { entry: Entry }) {
  const { event, remediation } = entry;
  return (
    <li className="grid grid-cols-[4.5rem_1fr] gap-x-3 border-s-2 border-line py-1 ps-3">
      <span className="text-soft tabular-nums">
        <When time={entry.time} />
      </span>
      {remediation ? (
        <span className="flex flex-wrap items-center gap-x-2">
          <StateBadge state={remediation.state} />
          <Link
            to="/approvals/$namespace/$name"
            params={{ namespace: remediation.namespace, name: remediation.name }}
            className="bare-link"
          >
            {actionName(remediation.action)} <Untrusted text={remediation.workload?.name ?? ""} />
          </Link>
        </span>
      ) : (
        <span className="min-w-0 break-words">
          <SeverityMark severity={event.severity} />{" "}
          <Untrusted text={event.message || event.reason || event.type} />
        </span>
      )}
    </li>
  );
}
