import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { explain } from "../api/failure";
import { count } from "../format/quantity";
import { actionName } from "../remediations/action";
import { StateBadge } from "../remediations/states";
import { SeverityMark } from "../ui/severity";
import { Untrusted } from "../ui/untrusted";
import { When } from "../ui/when";
import type { Happening } from "./happening";

const first = 8;

interface Props {
  happenings: readonly Happening[];
  error: unknown;
}

// The same as the marks in the plots, as text.
export function Happenings({ happenings, error }: Props) {
  const [all, setAll] = useState(false);
  return (
    <section aria-label="Events and actions" className="border-t border-line">
      <h3 className="px-3 pt-2 text-xs font-medium text-soft">
        Events and actions ({count(happenings.length)})
      </h3>
      {happenings.length === 0 && (
        <p className="px-3 pt-1 pb-3 text-soft">
          {error ? `${explain(error).title}.` : "None in this time that is still held."}
        </p>
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
