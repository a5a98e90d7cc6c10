import { type Incident, IncidentState } from "@rightsizer/api/incident";
import { Link } from "@tanstack/react-router";
import { plural } from "../format/quantity";
import { Badge } from "../ui/badge";
import { SeverityMark } from "../ui/severity";
import { Untrusted } from "../ui/untrusted";
import { Ago } from "../ui/when";
import { ruleName, scopeOf } from "./rules";
import type { IncidentSearch } from "./search";

interface Props {
  incidents: readonly Incident[];
  chosen: string | undefined;
  filter: IncidentSearch;
  now: number;
}

export function IncidentList({ incidents, chosen, filter, now }: Props) {
  return (
    <ul
      aria-label="Incidents, the latest changed first"
      className="panel divide-y divide-line overflow-hidden"
    >
      {incidents.map((incident) => {
        const { id, severity, state, summary, rule, memberCount, openedTime } = incident;
        return (
          <li
            key={id}
            data-row=""
            className={id === chosen ? "bg-raised shadow-[inset_3px_0_var(--color-accent)]" : ""}
          >
            <Link
              to="/incidents"
              search={{ ...filter, id }}
              replace
              aria-current={id === chosen ? "true" : undefined}
              className="flex flex-col gap-1 px-3 py-2 -outline-offset-2 hover:bg-raised"
            >
              <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
                <SeverityMark severity={severity} />
                {state === IncidentState.RESOLVED && <Badge tone="good">resolved</Badge>}
                <span className="ms-auto text-xs text-soft">
                  <Ago time={openedTime} now={now} />
                </span>
              </span>
              <Untrusted text={summary} className="line-clamp-2 font-medium break-words" />
              <span className="flex flex-wrap gap-x-3 text-xs text-soft">
                <span>{ruleName(rule)}</span>
                <span>{plural(memberCount, "problem")}</span>
                <Untrusted text={scopeOf(incident)} />
              </span>
            </Link>
          </li>
        );
      })}
    </ul>
  );
}
