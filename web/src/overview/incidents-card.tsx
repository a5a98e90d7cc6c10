import { useQuery } from "@connectrpc/connect-query";
import { EventService } from "@rightsizer/api/event_service";
import { IncidentState } from "@rightsizer/api/incident";
import { Link } from "@tanstack/react-router";
import { plural } from "../format/quantity";
import { Card } from "../ui/card";
import { Loaded } from "../ui/loaded";
import { SeverityMark } from "../ui/severity";
import { Untrusted } from "../ui/untrusted";
import { useNow } from "../ui/use-now";
import { Ago } from "../ui/when";
import { More } from "./more";

const shown = 5;

export function IncidentsCard() {
  const now = useNow(5000);
  const query = useQuery(
    EventService.method.listIncidents,
    { state: IncidentState.OPEN, pageSize: 100, allowedOnly: true },
    { refetchInterval: 5000 },
  );
  const count = query.data?.incidents.length;
  return (
    <Card
      title={`Open incidents${count ? ` (${count}${query.data?.nextPageToken ? "+" : ""})` : ""}`}
      aside={<More to="/incidents">All incidents</More>}
    >
      <Loaded query={query} what="incidents" rows={4}>
        {({ incidents }) =>
          incidents.length === 0 ? (
            <p className="p-3 text-soft">None is open.</p>
          ) : (
            <ul className="divide-y divide-line">
              {worst(incidents).map(({ id, severity, summary, memberCount, openedTime }) => (
                <li key={id} data-row="">
                  <Link
                    to="/incidents"
                    search={{ id }}
                    className="grid gap-x-3 px-3 py-2 -outline-offset-2 hover:bg-raised sm:grid-cols-[5.5rem_1fr]"
                  >
                    <span>
                      <SeverityMark severity={severity} />
                    </span>
                    <Untrusted text={summary} className="line-clamp-2 break-words" />
                    <span className="text-xs leading-5 text-soft sm:col-start-2">
                      {plural(memberCount, "problem")}, <Ago time={openedTime} now={now} />
                    </span>
                  </Link>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Card>
  );
}

function worst<One extends { severity: number }>(incidents: readonly One[]): One[] {
  return incidents.toSorted((a, b) => b.severity - a.severity).slice(0, shown);
}
