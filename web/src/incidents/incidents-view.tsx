import { useQuery } from "@connectrpc/connect-query";
import { EventService } from "@rightsizer/api/event_service";
import { IncidentState } from "@rightsizer/api/incident";
import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { fault, list, severityByName } from "../feed/filter";
import { Empty } from "../ui/empty";
import { Loaded } from "../ui/loaded";
import { Paged } from "../ui/paged";
import { useNow } from "../ui/use-now";
import { usePages } from "../ui/use-pages";
import { ViewTitle } from "../ui/view-title";
import { IncidentDetails } from "./incident-details";
import { IncidentFilters } from "./incident-filters";
import { IncidentList } from "./incident-list";
import type { IncidentSearch } from "./search";

const route = getRouteApi("/incidents");
const pageSize = 50;
const states = {
  open: IncidentState.OPEN,
  resolved: IncidentState.RESOLVED,
  all: IncidentState.UNSPECIFIED,
};

// Problems joined by their probable cause: the list, and beside it the one that
// is looked at.
export function IncidentsView() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { id: _, ...filter } = search;
  const pages = usePages(JSON.stringify(filter));
  const now = useNow(5000);
  const namespaces = fault("namespace", search.namespace) ? [] : list(search.namespace);
  const query = useQuery(
    EventService.method.listIncidents,
    {
      namespaces,
      state: states[search.state ?? "open"],
      ...(search.minSeverity && { minSeverity: severityByName[search.minSeverity] }),
      pageSize,
      pageToken: pages.token,
      allowedOnly: namespaces.length === 0,
    },
    { placeholderData: keepPreviousData, refetchInterval: 5000 },
  );
  const set = (next: IncidentSearch) => void navigate({ search: next, replace: true });

  return (
    <>
      <ViewTitle title="Incidents" />
      <IncidentFilters search={search} set={set} />
      <div className="grid items-start gap-4 xl:grid-cols-[minmax(22rem,2fr)_3fr]">
        <div className="flex min-w-0 flex-col gap-2">
          <Loaded query={query} what="incidents">
            {({ incidents, nextPageToken }) => (
              <Paged
                pages={pages}
                shown={incidents.length}
                pageSize={pageSize}
                next={nextPageToken}
                what="incident"
                stale={query.isPlaceholderData}
                nothing={<Nothing search={search} />}
              >
                <IncidentList incidents={incidents} chosen={search.id} filter={search} now={now} />
              </Paged>
            )}
          </Loaded>
        </div>
        {search.id ? (
          <IncidentDetails id={search.id} now={now} close={() => set(filter)} />
        ) : (
          <p className="panel hidden p-6 text-center text-soft xl:block">
            Choose an incident to see its probable root, its timeline and what was done.
          </p>
        )}
      </div>
    </>
  );
}

function Nothing({ search: { namespace, minSeverity, state } }: { search: IncidentSearch }) {
  const none = state ? "No incidents" : "No incident is open";
  return (
    <Empty title={namespace || minSeverity ? "No incident matches the filter" : none}>
      Problems that share a probable cause, such as a node that went down and the pods on it, are
      joined to one incident here.
    </Empty>
  );
}
