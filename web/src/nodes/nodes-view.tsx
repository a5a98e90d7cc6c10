import { useQuery } from "@connectrpc/connect-query";
import { ClusterService } from "@rightsizer/api/cluster_service";
import { keepPreviousData } from "@tanstack/react-query";
import { DataTable } from "../ui/data-table";
import { Empty } from "../ui/empty";
import { Loaded } from "../ui/loaded";
import { Paged } from "../ui/paged";
import { usePages } from "../ui/use-pages";
import { ViewTitle } from "../ui/view-title";
import { nodeColumns } from "./node-columns";

const pageSize = 100;

export function NodesView() {
  const pages = usePages("nodes");
  const query = useQuery(
    ClusterService.method.listNodes,
    { pageSize, pageToken: pages.token },
    { placeholderData: keepPreviousData, refetchInterval: 10_000 },
  );
  return (
    <>
      <ViewTitle title="Nodes" />
      <Loaded query={query} what="nodes">
        {({ nodes, totalSize, nextPageToken }) => (
          <Paged
            pages={pages}
            shown={nodes.length}
            pageSize={pageSize}
            total={totalSize}
            next={nextPageToken}
            what="node"
            stale={query.isPlaceholderData}
            nothing={
              <Empty title="The cluster has no nodes">Pods stay pending until one joins.</Empty>
            }
          >
            <DataTable
              label="Nodes"
              columns={nodeColumns}
              rows={nodes}
              rowKey={({ uid, name }) => uid || name}
            />
          </Paged>
        )}
      </Loaded>
    </>
  );
}
