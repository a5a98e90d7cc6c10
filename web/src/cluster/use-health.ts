import { useQuery } from "@connectrpc/connect-query";
import { type ComponentHealth, HealthState } from "@rightsizer/api/cluster";
import { ClusterService, type GetHealthResponse } from "@rightsizer/api/cluster_service";
import { explainOffered, type Failure } from "../api/failure";

const whileStarting = 1000;
const onceWell = 5000;
const whileDenied = 60_000; // a right may be given meanwhile

export interface Health {
  answer: GetHealthResponse | undefined; // the latest, which may be of before the failure
  failure: Failure | undefined; // why the latest question went unanswered
  answeredAt: number; // ms, of the latest answer; 0 without one
  ask(): void;
}

// useHealth asks every second until all is well, or until it is told that it may
// not. It may be used in many places:
// they share one question.
export function useHealth(): Health {
  const query = useQuery(
    ClusterService.method.getHealth,
    {},
    {
      retry: false, // asking again is what it does anyhow
      refetchInterval: ({ state }) => {
        if (state.error && !explainOffered(state.error).passing) return whileDenied;
        return state.status === "success" && state.data?.state === HealthState.OK
          ? onceWell
          : whileStarting;
      },
    },
  );
  return {
    answer: query.data,
    failure: query.error ? explainOffered(query.error) : undefined,
    answeredAt: query.dataUpdatedAt,
    ask: () => void query.refetch(),
  };
}

// The part without which nothing can be shown yet: the cluster itself or a watch
// on it, before its first sync. Another part that starts hinders no view.
export function startingPart(answer: GetHealthResponse | undefined): ComponentHealth | undefined {
  return answer?.components.find(
    ({ component, state }) =>
      state === HealthState.STARTING &&
      (component === "kubernetes" || component.startsWith("watch")),
  );
}
