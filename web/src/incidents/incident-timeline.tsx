import { useQuery } from "@connectrpc/connect-query";
import { EventService } from "@rightsizer/api/event_service";
import type { Incident } from "@rightsizer/api/incident";
import { RemediationService } from "@rightsizer/api/remediation_service";
import { Link } from "@tanstack/react-router";
import { explain } from "../api/failure";
import { actionName } from "../remediations/action";
import { StateBadge } from "../remediations/states";
import { SeverityMark } from "../ui/severity";
import { SkeletonRows } from "../ui/skeleton";
import { Untrusted } from "../ui/untrusted";
import { When } from "../ui/when";
import { type Entry, merge } from "./merge";
import { namespacesOf, workloadsOf } from "./rules";

// What happened and what was done, in one order of time.
export function IncidentTimeline({ incident }: { incident: Incident }) {
  const namespaces = namespacesOf(incident).slice(0, 256);
  const workloads = workloadsOf(incident).slice(0, 256);
  const events = useQuery(
    EventService.method.listEvents,
    {
      filter: { namespaces, workloads, allowedOnly: namespaces.length === 0 },
      ...(incident.openedTime && { startTime: incident.openedTime }),
      pageSize: 500,
    },
    { refetchInterval: 10_000, retry: false },
  );
  const remediations = useQuery(
    RemediationService.method.listRemediations,
    { namespaces, pageSize: 200, allowedOnly: namespaces.length === 0 },
    { refetchInterval: 10_000, retry: false },
  );
  const entries = merge(incident, events.data?.events ?? [], remediations.data?.remediations ?? []);
  return (
    <div className="flex flex-col gap-2 p-4">
      <h3 className="text-xs font-medium text-soft">What happened and what was done</h3>
      {events.isPending ? (
        <SkeletonRows what="the timeline" rows={4} />
      ) : entries.length === 0 ? (
        <p className="text-soft">
          {events.error
            ? `${explain(events.error).title}.`
            : "Its events are no longer held; the problems above say how it began."}
        </p>
      ) : (
        <ol className="flex flex-col">
          {entries.map((entry) => (
            <Line key={entry.key} entry={entry} />
          ))}
        </ol>
      )}
      {remediations.error ? (
        <p className="text-soft">
          What was done is not shown: {explain(remediations.error).title.toLowerCase()}.
        </p>
      ) : (
        !remediations.isPending &&
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
