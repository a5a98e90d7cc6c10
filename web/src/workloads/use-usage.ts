import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { Aggregation, MetricsService, type Series } from "@rightsizer/api/metrics_service";
import { useMemo } from "react";
import { table } from "../chart/table";
import { keptOf } from "./kept";

export type Resource = "cpu" | "memory";

export interface Of {
  namespace: string;
  kind: string;
  name: string;
  container: string;
}

// useUsage asks for a container's use over all pods, and for what it may use: the
// lines of a plot, in the order in which they are drawn.
export function useUsage(resource: Resource, of: Of, from: number, to: number) {
  const asked = { resource, of, from, to };
  // One by one: useQueries keeps no answer from one time to the next.
  const queries = [
    useLine(asked, "usage", Aggregation.MAX),
    useLine(asked, "usage", Aggregation.P95),
    useLine(asked, "usage", Aggregation.P50),
    useLine(asked, "request", Aggregation.MAX),
    useLine(asked, "limit", Aggregation.MAX),
  ];
  const lines: (Series | undefined)[] = queries.map(({ data }) => data?.series[0]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: as many as there are lines, always
  const data = useMemo(() => table(lines), lines);
  return {
    lines,
    data,
    missing: queries.map(({ data, error }) => data === undefined && error !== null),
    error: queries.find(({ error }) => error)?.error,
    // What is not asked, for want of a container, is pending for ever.
    loading: queries.some(({ isLoading }) => isLoading),
  };
}

interface Asked {
  resource: Resource;
  of: Of;
  from: number;
  to: number;
}

function useLine({ resource, of, from, to }: Asked, amount: string, aggregation: Aggregation) {
  const { namespace, kind, name, container } = of;
  return useQuery(
    MetricsService.method.queryMetrics,
    {
      metric: `container_${resource}_${amount}`,
      filter: { namespace, kind, workload: name, container },
      aggregation,
      startTime: timestampFromMs(from),
      endTime: timestampFromMs(to),
    },
    {
      ...keptOf(namespace, kind, name, container),
      enabled: container !== "",
      retry: false,
    },
  );
}
