import { useQuery } from "@connectrpc/connect-query";
import { ClusterService } from "@rightsizer/api/cluster_service";
import { startingPart, useHealth } from "./use-health";

// Not asked while the operator has no picture of the cluster yet.
export function useCluster() {
  const starting = startingPart(useHealth().answer) !== undefined;
  return useQuery(
    ClusterService.method.getCluster,
    {},
    { refetchInterval: 10_000, enabled: !starting },
  );
}
