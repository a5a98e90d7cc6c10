import { useQuery } from "@connectrpc/connect-query";
import { ClusterService } from "@rightsizer/api/cluster_service";
import { startingPart, useHealth } from "./use-health";

// Whether it is known that the operator has a picture of the cluster, or that its
// health cannot be had.
export function useClusterReady(): boolean {
  const { answer, failure } = useHealth();
  return answer ? startingPart(answer) === undefined : failure !== undefined;
}

export function useCluster() {
  const ready = useClusterReady();
  return useQuery(
    ClusterService.method.getCluster,
    {},
    { refetchInterval: 10_000, enabled: ready },
  );
}
