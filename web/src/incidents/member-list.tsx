import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { Phase } from "@rightsizer/api/event";
import type { Incident, IncidentMember } from "@rightsizer/api/incident";
import { Severity } from "@rightsizer/api/severity";
import { useState } from "react";
import { count } from "../format/quantity";
import { visible } from "../format/visible";
import { SeverityMark } from "../ui/severity";
import { Untrusted } from "../ui/untrusted";
import { When } from "../ui/when";
import { WorkloadLink } from "../ui/workload-link";

const first = 8;

// Each problem, and from when on it stood beside the others.
export function MemberList({ incident, now }: { incident: Incident; now: number }) {
  const [all, setAll] = useState(false);
  const { members, memberCount, resolvedTime, openedTime } = incident;
  const from = openedTime ? timestampMs(openedTime) : now;
  const to = Math.max(from + 1000, resolvedTime ? timestampMs(resolvedTime) : now);
  const shown = all ? members : members.slice(0, first);
  return (
    <div className="flex flex-col gap-2 border-b border-line p-4">
      <div className="flex items-baseline justify-between">
        <h3 className="text-xs font-medium text-soft">Problems ({count(memberCount)})</h3>
        <p aria-hidden="true" className="hidden text-xs text-soft tabular-nums sm:block">
          <When time={timestampFromMs(from)} /> to <When time={timestampFromMs(to)} />
        </p>
      </div>
      <ul className="flex flex-col gap-1.5">
        {shown.map((member) => (
          <Member key={member.problemId} member={member} from={from} to={to} />
        ))}
      </ul>
      {memberCount > shown.length && (
        <p className="flex flex-wrap items-center gap-3 text-soft">
          {members.length > shown.length && (
            <button type="button" className="field" onClick={() => setAll(true)}>
              Show all {count(members.length)}
            </button>
          )}
          {memberCount > members.length &&
            `${count(memberCount - members.length)} more are counted, not listed.`}
        </p>
      )}
    </div>
  );
}

const fills: Partial<Record<Severity, string>> = {
  [Severity.INFO]: "bg-info",
  [Severity.WARNING]: "bg-warning",
  [Severity.ERROR]: "bg-error",
  [Severity.CRITICAL]: "bg-critical-fill",
};

interface MemberProps {
  member: IncidentMember;
  from: number;
  to: number;
}

function Member({ member, from, to }: MemberProps) {
  const { severity, type, object, namespace, workload, phase, openedTime, message } = member;
  const start = openedTime ? (timestampMs(openedTime) - from) / (to - from) : 0;
  const left = Math.min(98, Math.max(0, start * 100));
  const over = phase === Phase.RESOLVED || phase === Phase.POINT;
  return (
    <li className="grid gap-x-3 sm:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
      <div className="min-w-0">
        <p className="flex flex-wrap items-center gap-x-2">
          <SeverityMark severity={severity} />
          <Untrusted text={type} className="font-mono text-xs" />
          <span className="text-xs text-soft tabular-nums">
            <When time={openedTime} />
            {phase === Phase.RESOLVED && ", over"}
          </span>
        </p>
        <p className="truncate" title={visible(message)}>
          {workload ? (
            <WorkloadLink namespace={namespace} workload={workload} full />
          ) : (
            <Untrusted text={object?.name ?? ""} className="font-medium" />
          )}{" "}
          <Untrusted text={message} className="text-soft" />
        </p>
      </div>
      <div
        aria-hidden="true"
        className="relative my-auto hidden h-2 rounded-full bg-raised sm:block"
      >
        <div
          className={`absolute h-2 rounded-full ${fills[severity] ?? "bg-edge"} ${over ? "opacity-50" : ""}`}
          style={{ left: `${left}%`, right: phase === Phase.POINT ? `${97 - left}%` : 0 }}
        />
      </div>
    </li>
  );
}
