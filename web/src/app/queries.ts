import { QueryClient } from "@tanstack/react-query";
import { explain } from "../api/failure";

export function newQueryClient(): QueryClient {
  return new QueryClient({
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
