import { useQuery } from "@connectrpc/connect-query";
import { ClusterService } from "@rightsizer/api/cluster_service";

export function useCluster() {
  return useQuery(ClusterService.method.getCluster, {}, { refetchInterval: 10_000 });
}
