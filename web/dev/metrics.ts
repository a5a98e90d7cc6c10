import { durationFromMs, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { Aggregation, type MetricsService } from "@rightsizer/api/metrics_service";
import { chance } from "./chance";
import { workloads } from "./workloads";

// How much of the use each aggregation shows.
const shares: Partial<Record<Aggregation, number>> = {
  [Aggregation.P50]: 0.62,
  [Aggregation.P95]: 0.86,
  [Aggregation.MAX]: 0.97,
};

export const metricsService: Partial<ServiceImpl<typeof MetricsService>> = {
  queryMetrics({ metric, filter, startTime, endTime, aggregation }) {
    const to = endTime ? timestampMs(endTime) : Date.now();
    const from = startTime ? timestampMs(startTime) : to - 3_600_000;
    const step = Math.max(60_000, Math.ceil((to - from) / 240 / 60_000) * 60_000);
    const [, resource = "", what = ""] = metric.split("_");
    const workload = workloads.find(
      ({ namespace, ref }) => namespace === filter.namespace && ref?.name === filter.workload,
    );
    const container = workload?.containers.find(({ name }) => name === filter.container);
    const field = resource === "cpu" ? "cpuMillis" : "memoryBytes";
    const request = Number(container?.requests?.[field] ?? 0n);
    const limit = Number(container?.limits?.[field] ?? 0n);
    const points = [];
    for (let at = Math.ceil(from / step) * step; at <= Math.min(to, Date.now()); at += step) {
      const value = valueAt(at, what, request, limit, aggregation, filter.workload ?? "");
      // A source that did not answer for a while leaves a gap.
      if (value > 0 && (at / 60_000) % 97 > 3) points.push({ time: timestampFromMs(at), value });
    }
    return {
      series: points.length > 0 ? [{ labels: { ...filter }, points }] : [],
      unit: resource === "cpu" ? "millicores" : "bytes",
      step: durationFromMs(step),
    };
  },
};

function valueAt(
  at: number,
  what: string,
  request: number,
  limit: number,
  aggregation: Aggregation,
  name: string,
) {
  if (what === "request") return request;
  if (what === "limit") return limit;
  const day = Math.sin((at / 86_400_000) * 2 * Math.PI) * 0.12;
  // Grows until it is killed, then begins anew.
  const saw = ((at / 60_000 + chance(name) * 40) % 41) / 41;
  const noise = chance(`${name}${Math.floor(at / 60_000)}`) * 0.06;
  return (limit || request * 1.4) * (0.32 + day + saw * 0.6 + noise) * (shares[aggregation] ?? 0.7);
}
