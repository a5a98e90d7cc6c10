import { useQuery } from "@connectrpc/connect-query";
import { ClusterService } from "@rightsizer/api/cluster_service";
import { keepPreviousData } from "@tanstack/react-query";
import { explain } from "../api/failure";
import { DataTable } from "../ui/data-table";
import { Empty } from "../ui/empty";
import { FailureNotice } from "../ui/failure-notice";
import { Pager } from "../ui/pager";
import { SkeletonRows } from "../ui/skeleton";
import { usePages } from "../ui/use-pages";
import { ViewTitle } from "../ui/view-title";
import { nodeColumns } from "./node-columns";

const pageSize = 100;

export function NodesView() {
  const pages = usePages("nodes");
  const { data, error, refetch } = useQuery(
    ClusterService.method.listNodes,
    { pageSize, pageToken: pages.token },
    { placeholderData: keepPreviousData, refetchInterval: 10_000 },
  );
  return (
    <>
      <ViewTitle title="Nodes" />
      {error && !data ? (
        <FailureNotice failure={explain(error)} retry={() => void refetch()} />
      ) : !data ? (
        <SkeletonRows what="nodes" rows={12} />
      ) : data.nodes.length === 0 ? (
        <Empty title="The cluster has no nodes">Pods stay pending until one joins.</Empty>
      ) : (
        <>
          <DataTable
            label="Nodes"
            columns={nodeColumns}
            rows={data.nodes}
            rowKey={({ uid, name }) => uid || name}
          />
          <Pager
            pages={pages}
            shown={data.nodes.length}
            pageSize={pageSize}
            total={data.totalSize}
            next={data.nextPageToken}
            what="node"
          />
        </>
      )}
    </>
  );
}
