import { useQuery } from "@connectrpc/connect-query";
import { RemediationService } from "@rightsizer/api/remediation_service";
import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { fault, list } from "../feed/filter";
import { FilterField } from "../feed/filter-field";
import { Choice } from "../ui/choice";
import { DataTable } from "../ui/data-table";
import { Empty } from "../ui/empty";
import { Loaded } from "../ui/loaded";
import { Paged } from "../ui/paged";
import { useNow } from "../ui/use-now";
import { usePages } from "../ui/use-pages";
import { ViewTitle } from "../ui/view-title";
import { inboxColumns } from "./inbox-columns";
import { type InboxSearch, type Show, showNames } from "./search";
import { shows } from "./states";

const route = getRouteApi("/approvals");
const pageSize = 50;
const options = showNames.map((value) => ({ value, name: shows[value].name }));

// What waits for a person, what is being done and what was done.
export function InboxView() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const show = search.show ?? "waiting";
  const pages = usePages(JSON.stringify(search));
  const namespaceFault = fault("namespace", search.namespace);
  const namespaces = namespaceFault ? [] : list(search.namespace);
  const now = useNow(1000, show === "waiting");
  const query = useQuery(
    RemediationService.method.listRemediations,
    {
      states: [...shows[show].states],
      namespaces,
      pageSize,
      pageToken: pages.token,
      allowedOnly: namespaces.length === 0,
    },
    { placeholderData: keepPreviousData, refetchInterval: 5000 },
  );
  const set = (next: InboxSearch) => void navigate({ search: next, replace: true });

  return (
    <>
      <ViewTitle title="Approvals" />
      <search tabIndex={-1} className="flex flex-wrap items-end gap-3">
        <Choice
          label="Which remediations"
          options={options}
          value={show}
          onChange={(value) => {
            const { show: _, ...rest } = search;
            set(value === "waiting" ? rest : { ...rest, show: value });
          }}
        />
        <FilterField
          label="Namespace"
          example="shop"
          value={search.namespace ?? ""}
          fault={namespaceFault}
          suggestions={[]}
          onCommit={(value) => {
            const { namespace: _, ...rest } = search;
            set(value === "" ? rest : { ...rest, namespace: value });
          }}
        />
      </search>
      <Loaded query={query} what="remediations">
        {({ remediations, nextPageToken }) => (
          <Paged
            pages={pages}
            shown={remediations.length}
            pageSize={pageSize}
            next={nextPageToken}
            what="remediation"
            stale={query.isPlaceholderData}
            nothing={<Nothing show={show} filtered={namespaces.length > 0} />}
          >
            <DataTable
              label="Remediations"
              columns={inboxColumns(now, show)}
              rows={remediations}
              rowKey={({ uid, namespace, name }) => uid || `${namespace}/${name}`}
            />
          </Paged>
        )}
      </Loaded>
    </>
  );
}

function Nothing({ show, filtered }: { show: Show; filtered: boolean }) {
  if (filtered)
    return <Empty title="None in this namespace">Clear the namespace to see the others.</Empty>;
  if (show === "waiting")
    return (
      <Empty title="Nothing waits for you">
        A policy in mode Approve puts what it would do here, and does nothing until somebody says
        yes. Without a policy the operator changes nothing.
      </Empty>
    );
  return (
    <Empty title="Nothing here yet">
      Remediations show here while they run and for at least seven days after.
    </Empty>
  );
}
