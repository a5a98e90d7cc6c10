import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { count } from "../format/quantity";
import { actionName } from "../remediations/action";
import { StateBadge } from "../remediations/states";
import { isPending, type Part, PartNote, whole } from "../ui/part";
import { SeverityMark } from "../ui/severity";
import { SkeletonRows } from "../ui/skeleton";
import { Untrusted } from "../ui/untrusted";
import { When } from "../ui/when";
import type { Happening } from "./happening";
import { pageSizes } from "./use-happenings";

const first = 8;

interface Props {
  happenings: readonly Happening[];
  events: Part;
  actions: Part;
}

// The same as the marks in the plots, as text.
export function Happenings({ happenings, events, actions }: Props) {
  const [all, setAll] = useState(false);
  return (
    <section aria-label="Events and actions" className="border-t border-line">
      <h3 className="px-3 pt-2 text-xs font-medium text-soft">
        Events and actions ({count(happenings.length)})
      </h3>
      <div className="px-3 empty:hidden">
        <PartNote
          part={events}
          what="Events"
          cut={`Only the newest ${count(pageSizes.events)} events were looked at.`}
        />
        <PartNote
          part={actions}
          what="Actions"
          cut={`Only the newest ${count(pageSizes.actions)} actions in this namespace were looked at.`}
        />
      </div>
      {isPending(events) || isPending(actions) ? (
        <SkeletonRows what="events and actions" rows={2} />
      ) : (
        happenings.length === 0 &&
        whole(events) &&
        whole(actions) && (
          <p className="px-3 pt-1 pb-3 text-soft">None in this time that is still held.</p>
        )
      )}
      <ol className="divide-y divide-line">
        {(all ? happenings : happenings.slice(0, first)).map((happening) => (
          <li key={happening.key} className="grid gap-x-3 px-3 py-1.5 sm:grid-cols-[5rem_7rem_1fr]">
            <Line happening={happening} />
          </li>
        ))}
      </ol>
      {!all && happenings.length > first && (
        <button type="button" className="field m-3" onClick={() => setAll(true)}>
          Show all {count(happenings.length)}
        </button>
      )}
    </section>
  );
}

function Line({ happening: { time, event, remediation } }: { happening: Happening }) {
  return (
    <>
      <span className="text-soft tabular-nums">
        <When time={time} />
      </span>
      {remediation ? (
        <>
          <span className="font-medium text-accent">Action</span>
          <span className="flex flex-wrap items-center gap-2">
            <Link
              to="/approvals/$namespace/$name"
              params={{ namespace: remediation.namespace, name: remediation.name }}
              className="bare-link"
            >
              {actionName(remediation.action)}
            </Link>
            <StateBadge state={remediation.state} />
          </span>
        </>
      ) : (
        <>
          <span>
            <SeverityMark severity={event.severity} />
          </span>
          <span className="min-w-0 break-words">
            <Untrusted text={event.message || event.reason || event.type} />
          </span>
        </>
      )}
    </>
  );
}
