import { useQuery } from "@connectrpc/connect-query";
import { WorkloadService } from "@rightsizer/api/workload_service";
import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { fault, list } from "../feed/filter";
import { FilterField } from "../feed/filter-field";
import { Empty } from "../ui/empty";
import { Loaded } from "../ui/loaded";
import { Paged } from "../ui/paged";
import { usePages } from "../ui/use-pages";
import { ViewTitle } from "../ui/view-title";
import type { WorkloadSearch } from "./search";
import { WorkloadTable } from "./workload-table";

const route = getRouteApi("/workloads");
const pageSize = 50;

// Workloads, a page at a time: the server sorts, filters and cuts, so that a
// cluster of thousands costs the browser fifty rows.
export function WorkloadsView() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const pages = usePages(JSON.stringify(search));
  const namespaceFault = fault("namespace", search.namespace);
  const namespaces = namespaceFault ? [] : list(search.namespace);
  const query = useQuery(
    WorkloadService.method.listWorkloads,
    {
      nameContains: search.name ?? "",
      namespaces,
      withProblems: search.problems === "only",
      orderBy: search.order ?? "",
      pageSize,
      pageToken: pages.token,
      allowedOnly: namespaces.length === 0,
    },
    { placeholderData: keepPreviousData, refetchInterval: 10_000 },
  );

  const set = (next: WorkloadSearch) => void navigate({ search: next, replace: true });
  const filtered = Boolean(search.name || search.namespace || search.problems);

  return (
    <>
      <ViewTitle title="Workloads" />
      <Filters search={search} namespaceFault={namespaceFault} set={set} />
      <Loaded query={query} what="workloads">
        {({ workloads, totalSize, nextPageToken }) => (
          <Paged
            pages={pages}
            shown={workloads.length}
            pageSize={pageSize}
            total={totalSize}
            next={nextPageToken}
            what="workload"
            stale={query.isPlaceholderData}
            nothing={<Nothing filtered={filtered} />}
          >
            <WorkloadTable
              workloads={workloads}
              order={search.order ?? "name"}
              sortBy={(order) => set({ ...search, order })}
            />
          </Paged>
        )}
      </Loaded>
    </>
  );
}

function Nothing({ filtered }: { filtered: boolean }) {
  return filtered ? (
    <Empty title="No workload matches the filter">Change or clear the filter above.</Empty>
  ) : (
    <Empty title="No workloads yet">
      Deployments, StatefulSets, Jobs and bare pods show here as soon as the cluster has one that
      you may read.
    </Empty>
  );
}

interface FiltersProps {
  search: WorkloadSearch;
  namespaceFault: string | undefined;
  set: (search: WorkloadSearch) => void;
}

function Filters({ search, namespaceFault, set }: FiltersProps) {
  const { name, namespace, problems, ...rest } = search;
  return (
    <search tabIndex={-1} className="flex flex-wrap items-start gap-3">
      <FilterField
        label="Name contains"
        example="api"
        value={name ?? ""}
        fault={undefined}
        suggestions={[]}
        onCommit={(value) => set(changed(search, "name", value))}
      />
      <FilterField
        label="Namespace"
        example="shop"
        value={namespace ?? ""}
        fault={namespaceFault}
        suggestions={[]}
        onCommit={(value) => set(changed(search, "namespace", value))}
      />
      <label className="flex h-8 self-end items-center gap-2">
        <input
          type="checkbox"
          className="size-4"
          checked={problems === "only"}
          onChange={(change) => {
            const { problems: _, ...others } = search;
            set(change.target.checked ? { ...others, problems: "only" } : others);
          }}
        />
        With open problems only
      </label>
      <button
        type="button"
        className="field self-end disabled:opacity-50"
        disabled={!name && !namespace && !problems}
        onClick={() => set(rest)}
      >
        Clear
      </button>
    </search>
  );
}

// An empty field leaves the URL.
function changed(search: WorkloadSearch, field: "name" | "namespace", value: string) {
  const { [field]: _, ...rest } = search;
  return value === "" ? rest : { ...rest, [field]: value };
}
