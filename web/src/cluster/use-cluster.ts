import { useQuery } from "@connectrpc/connect-query";
import { ClusterService } from "@rightsizer/api/cluster_service";
import { startingPart, useHealth } from "./use-health";

// Asked once it is known that the operator has a picture of the cluster, or that
// its health cannot be had.
export function useCluster() {
  const { answer, failure } = useHealth();
  const ready = answer ? startingPart(answer) === undefined : failure !== undefined;
  return useQuery(
    ClusterService.method.getCluster,
    {},
    { refetchInterval: 10_000, enabled: ready },
  );
}
