import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createQueryOptions, useTransport } from "@connectrpc/connect-query";
import { Aggregation, MetricsService, type Series } from "@rightsizer/api/metrics_service";
import { keepPreviousData, useQueries } from "@tanstack/react-query";
import { useMemo } from "react";
import { table } from "../chart/table";

export type Resource = "cpu" | "memory";

// The lines of a plot, in the order in which they are drawn.
const asked = [
  { key: "max", metric: "usage", aggregation: Aggregation.MAX },
  { key: "p95", metric: "usage", aggregation: Aggregation.P95 },
  { key: "p50", metric: "usage", aggregation: Aggregation.P50 },
  { key: "request", metric: "request", aggregation: Aggregation.MAX },
  { key: "limit", metric: "limit", aggregation: Aggregation.MAX },
] as const;

export interface Of {
  namespace: string;
  kind: string;
  name: string;
  container: string;
}

// useUsage asks for a container's use over all pods, and for what it may use.
export function useUsage(resource: Resource, of: Of, from: number, to: number) {
  const transport = useTransport();
  const { namespace, kind, name, container } = of;
  const queries = useQueries({
    queries: asked.map(({ metric, aggregation }) => ({
      ...createQueryOptions(
        MetricsService.method.queryMetrics,
        {
          metric: `container_${resource}_${metric}`,
          filter: { namespace, kind, workload: name, container },
          aggregation,
          startTime: timestampFromMs(from),
          endTime: timestampFromMs(to),
        },
        { transport },
      ),
      placeholderData: keepPreviousData,
      enabled: container !== "",
      retry: false,
    })),
  });
  const lines: (Series | undefined)[] = queries.map(({ data }) => data?.series[0]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: as many as there are lines, always
  const data = useMemo(() => table(lines), lines);
  return {
    lines,
    data,
    error: queries.find(({ error }) => error)?.error,
    pending: queries.some(({ isPending }) => isPending),
    refetch: () => queries.forEach((query) => void query.refetch()),
  };
}
