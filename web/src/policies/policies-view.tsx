import { useQuery } from "@connectrpc/connect-query";
import { type Policy, PolicyService } from "@rightsizer/api/policy_service";
import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { fault, list } from "../feed/filter";
import { FilterField } from "../feed/filter-field";
import { Badge } from "../ui/badge";
import { Card } from "../ui/card";
import { type Column, DataTable } from "../ui/data-table";
import { Empty } from "../ui/empty";
import { Loaded } from "../ui/loaded";
import { Paged } from "../ui/paged";
import { Untrusted } from "../ui/untrusted";
import { usePages } from "../ui/use-pages";
import { ViewTitle } from "../ui/view-title";
import { Explanation, nameOf } from "./explanation";
import { ModeBadge } from "./modes";
import { type PolicySearch, targetFrom } from "./search";

const route = getRouteApi("/policies");
const pageSize = 100;

const columns: Column<Policy>[] = [
  {
    name: "Policy",
    head: "Policy",
    cell: ({ name }) => <Untrusted text={name} className="font-medium" />,
  },
  {
    name: "Reaches",
    head: "Reaches",
    cell: ({ namespace }) =>
      namespace ? (
        <>
          namespace <Untrusted text={namespace} />
        </>
      ) : (
        "the cluster"
      ),
  },
  { name: "Mode", head: "Mode", cell: ({ mode }) => <ModeBadge mode={mode} /> },
  {
    name: "By action",
    head: "By action",
    cell: ({ modeByAction }) => <ByAction modes={modeByAction} />,
  },
  {
    name: "In force",
    head: "In force",
    cell: ({ ready }) => (ready ? <Badge tone="good">yes</Badge> : <Badge tone="error">no</Badge>),
  },
  {
    name: "Generation",
    head: "Generation",
    number: true,
    cell: ({ generation }) => String(generation),
  },
  { name: "Why", head: "Why", wrap: true, cell: ({ message }) => <Untrusted text={message} /> },
];

export function PoliciesView() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const pages = usePages(JSON.stringify(search));
  const namespaceFault = fault("namespace", search.namespace);
  const namespaces = namespaceFault ? [] : list(search.namespace);
  const target = targetFrom(search.workload);
  const query = useQuery(
    PolicyService.method.listPolicies,
    { namespaces, pageSize, pageToken: pages.token, allowedOnly: namespaces.length === 0 },
    { placeholderData: keepPreviousData, refetchInterval: 15_000 },
  );
  function set(field: keyof PolicySearch, value: string) {
    const { [field]: _, ...rest } = search;
    void navigate({ search: value === "" ? rest : { ...rest, [field]: value }, replace: true });
  }

  return (
    <>
      <ViewTitle title="Policies" />
      <Card title="Which policy governs a workload">
        <div className="px-3 pt-3 sm:max-w-md">
          <FilterField
            label="Workload, as namespace/Kind/name"
            example="shop/Deployment/api"
            value={search.workload ?? ""}
            fault={
              search.workload && !target
                ? `“${search.workload}” is not namespace/Kind/name`
                : undefined
            }
            suggestions={[]}
            onCommit={(value) => set("workload", value)}
          />
        </div>
        {target ? (
          <Explanation target={target} />
        ) : (
          <p className="p-3 text-soft">The most specific policy wins; this says which, and why.</p>
        )}
      </Card>
      <search tabIndex={-1} className="flex flex-wrap items-end gap-3">
        <FilterField
          label="Namespace"
          example="shop"
          value={search.namespace ?? ""}
          fault={namespaceFault}
          suggestions={[]}
          onCommit={(value) => set("namespace", value)}
        />
      </search>
      <Loaded query={query} what="policies" rows={5}>
        {({ policies, nextPageToken }) => (
          <Paged
            pages={pages}
            shown={policies.length}
            pageSize={pageSize}
            next={nextPageToken}
            what="policy"
            many="policies"
            stale={query.isPlaceholderData}
            nothing={<Nothing filtered={namespaces.length > 0} />}
          >
            <DataTable label="Policies" columns={columns} rows={policies} rowKey={nameOf} />
          </Paged>
        )}
      </Loaded>
    </>
  );
}

function Nothing({ filtered }: { filtered: boolean }) {
  if (filtered)
    return (
      <Empty title="No policy of this namespace">
        Clear the namespace to see the others. One that reaches the whole cluster may govern it
        still: ask for a workload above.
      </Empty>
    );
  return (
    <Empty title="No policies">
      Without one the operator recommends and changes nothing. A RightSizerPolicy says how far it
      may go in its namespace; <code>deploy/crd/examples</code> holds three to start from.
    </Empty>
  );
}

function ByAction({ modes }: { modes: Policy["modeByAction"] }) {
  const entries = Object.entries(modes);
  if (entries.length === 0) return <span className="text-soft">as the mode</span>;
  return (
    <span className="flex flex-wrap gap-x-3 gap-y-1">
      {entries.map(([action, mode]) => (
        <span key={action} className="inline-flex items-center gap-1.5">
          <Untrusted text={action.replaceAll("_", " ")} />
          <ModeBadge mode={mode} />
        </span>
      ))}
    </span>
  );
}
