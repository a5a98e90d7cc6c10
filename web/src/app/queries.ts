import { type Query, QueryCache, QueryClient } from "@tanstack/react-query";
import { explain } from "../api/failure";

export function newQueryClient(): QueryClient {
  return new QueryClient({
    queryCache: keepingFailures(),
    defaultOptions: {
      queries: {
        // The operator may be on loopback: the browser's idea of being offline
        // says nothing about it.
        networkMode: "always",
        staleTime: 5000,
        retry: (failures, reason) => failures < 2 && explain(reason).passing,
      },
      // Nor may a decision wait for the network, and be made when nobody looks any more.
      mutations: { networkMode: "always" },
    },
  });
}

// A query that was never answered forgets its failure whenever it is asked again, and
// every view would show loading in its place, or the rows of another filter, once per
// round. Here it keeps it until there is an answer, as long as somebody looks at it.
function keepingFailures(): QueryCache {
  const cache = new QueryCache();
  const failures = new WeakMap<Query, Error | null>();
  cache.subscribe((event) => {
    const { query, type } = event;
    if (type === "observerRemoved" && query.getObserversCount() === 0) failures.delete(query);
    if (type !== "updated") return;
    if (event.action.type !== "fetch") {
      failures.set(query, query.state.error);
      return;
    }
    const error = failures.get(query);
    // Within the batch of this very update: nobody sees what was between.
    if (error && query.state.data === undefined) query.setState({ status: "error", error });
  });
  return cache;
}
