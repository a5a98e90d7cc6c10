import { useQuery } from "@connectrpc/connect-query";
import { WorkloadService } from "@rightsizer/api/workload_service";
import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { fault, list } from "../feed/filter";
import { DataTable } from "../ui/data-table";
import { Empty } from "../ui/empty";
import { Loaded } from "../ui/loaded";
import { Paged } from "../ui/paged";
import { usePages } from "../ui/use-pages";
import { ViewTitle } from "../ui/view-title";
import { recommendationColumns } from "./columns";
import { RecommendationFilters } from "./filters";
import { SavingsCard } from "./savings-card";
import type { RecommendationSearch } from "./search";

const route = getRouteApi("/recommendations");
const pageSize = 50;

export function RecommendationsView() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const pages = usePages(JSON.stringify(search));
  const namespaces = fault("namespace", search.namespace) ? [] : list(search.namespace);
  const workloads = fault("workload", search.workload) ? [] : list(search.workload);
  const query = useQuery(
    WorkloadService.method.listRecommendations,
    {
      namespaces,
      workloads,
      orderBy: search.order ?? "savings",
      changeDue: search.due !== "all",
      pageSize,
      pageToken: pages.token,
      allowedOnly: namespaces.length === 0,
    },
    { placeholderData: keepPreviousData, refetchInterval: 15_000 },
  );
  const set = (next: RecommendationSearch) => void navigate({ search: next, replace: true });
  return (
    <>
      <ViewTitle title="Recommendations" />
      <SavingsCard namespaces={namespaces} />
      <RecommendationFilters search={search} set={set} />
      <Loaded query={query} what="recommendations">
        {({ recommendations, nextPageToken, totalSize }) => (
          <Paged
            pages={pages}
            shown={recommendations.length}
            pageSize={pageSize}
            total={totalSize}
            next={nextPageToken}
            what="recommendation"
            stale={query.isPlaceholderData}
            nothing={
              <Nothing
                due={search.due !== "all"}
                filtered={namespaces.length > 0 || workloads.length > 0}
              />
            }
          >
            <DataTable
              label="Recommendations"
              columns={recommendationColumns}
              rows={recommendations}
              rowKey={({ namespace, workload, container }) =>
                `${namespace}/${workload?.kind}/${workload?.name}/${container}`
              }
            />
          </Paged>
        )}
      </Loaded>
    </>
  );
}

function Nothing({ due, filtered }: { due: boolean; filtered: boolean }) {
  if (filtered)
    return (
      <Empty title={due ? "Nothing that matches is due" : "No recommendation matches the filter"}>
        {due
          ? "Show all to see what is sized well enough, or change or clear the filter above."
          : "Change or clear the filter above."}
      </Empty>
    );
  if (due)
    return (
      <Empty title="Nothing is due">
        Every container that was measured is sized well enough, or was not measured for long enough.
        Show all to see them.
      </Empty>
    );
  return (
    <Empty title="No recommendations yet">
      They come once usage was measured for long enough. The operator's health says whether a usage
      source answers.
    </Empty>
  );
}
