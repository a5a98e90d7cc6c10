import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { ContainerKind } from "@rightsizer/api/event";
import {
  type Recommendation,
  RecommendationSchema,
  RecommendationState,
} from "@rightsizer/api/recommendation";
import type { Workload } from "@rightsizer/api/workload";
import type { WorkloadService } from "@rightsizer/api/workload_service";
import { chance, page } from "./chance";
import { workloads } from "./workloads";

const perCore = 22.4; // US dollars a month
const perGib = 2.9;
const prices = "configuration: $22.40 a core, $2.90 a GiB, each a month";
const gib = 1024n ** 3n;

function cost(cpu: bigint, memory: bigint, replicas: number): number {
  return ((Number(cpu) / 1000) * perCore + (Number(memory) / Number(gib)) * perGib) * replicas;
}

function recommend(workload: Workload): Recommendation[] {
  const { namespace, ref, containers, pods } = workload;
  const app = containers[0];
  if (!ref || !app?.requests) return [];
  const luck = chance(ref.name);
  const hungry = app.oomKills > 0;
  const factor = hungry ? 1.6 : 0.35 + luck * 0.75;
  const cpu = app.requests.cpuMillis;
  const memory = app.requests.memoryBytes;
  const mib = 1024 ** 2;
  const wanted = BigInt(Math.ceil((Number(memory) * factor) / mib) * mib);
  const wantedCpu = BigInt(Math.round(Number(cpu) * (0.3 + luck * 0.8)));
  const now = cost(cpu, memory, pods);
  const then = cost(wantedCpu, wanted, pods);
  const cold = luck > 0.93;
  return [
    create(RecommendationSchema, {
      namespace,
      workload: { kind: ref.kind, name: ref.name },
      container: app.name,
      containerKind: ContainerKind.APP,
      currentRequests: app.requests,
      currentLimits: app.limits ?? {},
      targetRequests: { cpuMillis: wantedCpu, memoryBytes: wanted },
      targetLimits: { memoryBytes: (wanted * 3n) / 2n },
      lowerBound: { memoryBytes: (wanted * 8n) / 10n },
      upperBound: { memoryBytes: wanted * 2n },
      confidence: cold ? 0.22 : 0.7 + luck * 0.28,
      dataAge: durationFromMs(Math.round(20_000 + luck * 40_000)),
      dataSpan: durationFromMs(Math.round((cold ? 3 : 24 * (2 + luck * 12)) * 3_600_000)),
      oomKills: app.oomKills,
      oomRisk: hungry ? 0.004 : luck * 0.0009,
      startupPeak: { memoryBytes: (wanted * 9n) / 10n },
      boundBy: luck < 0.1 ? ["memory: LimitRange max 2 GiB"] : [],
      explanation: `memory = day_max × (1 + margin), day_max ${Math.round(Number(wanted) / mib / 1.15)} MiB over ${Math.round(2 + luck * 12)} days, margin 15 %\ncpu = p95 of 5 min means × 1.1`,
      restartRequired: luck > 0.8,
      monthlyCostDelta: then - now,
      currentMonthlyCost: now,
      recommendedMonthlyCost: then,
      replicas: pods,
      priceSource: prices,
      updateTime: timestampFromMs(Date.now()),
      state: cold ? RecommendationState.WARMING_UP : RecommendationState.READY,
      memoryChangeDue: !cold && Math.abs(factor - 1) > 0.15,
      cpuChangeDue: !cold && luck < 0.6,
      cpuSlack: 0.2,
      memorySlack: 0.15,
      terms: [
        {
          resource: "memory",
          name: "day_max",
          value: Number(wanted) / 1.15,
          unit: "bytes",
          meaning: "largest use of a day, the oldest days counting less",
        },
        {
          resource: "memory",
          name: "margin",
          value: 0.15,
          unit: "",
          meaning: "kept free above it",
        },
        {
          resource: "memory",
          name: "data_span",
          value: 24 * (2 + luck * 12),
          unit: "hours",
          meaning: "time that the samples span",
        },
        {
          resource: "cpu",
          name: "p95",
          value: Number(wantedCpu) / 1.1,
          unit: "millicores",
          meaning: "95th percentile of means over five minutes",
        },
      ],
    }),
  ];
}

// Made when first asked: workloads.ts imports this file.
let made: Recommendation[] | undefined;
function all(): Recommendation[] {
  made ??= workloads.flatMap(recommend);
  return made;
}

const change = (now = 0n, then = 0n) =>
  now === 0n ? 0 : Math.abs(Number(then - now)) / Number(now);
const by: Record<string, (one: Recommendation) => number> = {
  savings: ({ monthlyCostDelta }) => monthlyCostDelta,
  oom_risk: ({ oomRisk }) => -oomRisk,
  memory_change: (one) =>
    -change(one.currentRequests?.memoryBytes, one.targetRequests?.memoryBytes),
  cpu_change: (one) => -change(one.currentRequests?.cpuMillis, one.targetRequests?.cpuMillis),
};

export const sizing: Partial<ServiceImpl<typeof WorkloadService>> = {
  listRecommendations({ namespaces, workloads, orderBy, changeDue, pageSize, pageToken }) {
    const found = all().filter(
      ({ namespace, workload, memoryChangeDue, cpuChangeDue }) =>
        (namespaces.length === 0 || namespaces.includes(namespace)) &&
        (workloads.length === 0 ||
          workloads.includes(workload?.name ?? "") ||
          workloads.includes(`${workload?.kind}/${workload?.name}`)) &&
        (!changeDue || memoryChangeDue || cpuChangeDue),
    );
    const rank = by[orderBy];
    if (rank) found.sort((a, b) => rank(a) - rank(b));
    const { entries, nextPageToken } = page(found, pageSize, pageToken);
    return { recommendations: entries, nextPageToken, totalSize: found.length };
  },
  getSavings({ namespaces }) {
    const sums = new Map<string, [number, number]>();
    for (const { namespace, currentMonthlyCost, recommendedMonthlyCost } of all()) {
      if (namespaces.length > 0 && !namespaces.includes(namespace)) continue;
      const [now, then] = sums.get(namespace) ?? [0, 0];
      sums.set(namespace, [now + currentMonthlyCost, then + recommendedMonthlyCost]);
    }
    const savings = (scope: string, now: number, then: number) => ({
      scope,
      currentMonthlyCost: now,
      recommendedMonthlyCost: then,
      formula: `Σ replicas × (cores × $${perCore} + GiB × $${perGib})\nnow ${now.toFixed(2)}, recommended ${then.toFixed(2)}`,
      priceSource: prices,
    });
    const parts = [...sums].map(([scope, [now, then]]) => savings(scope, now, then));
    parts.sort(
      (a, b) =>
        b.currentMonthlyCost -
        b.recommendedMonthlyCost -
        (a.currentMonthlyCost - a.recommendedMonthlyCost),
    );
    const add = (pick: (one: (typeof parts)[number]) => number) =>
      parts.reduce((sum, one) => sum + pick(one), 0);
    return {
      total: savings(
        "cluster",
        add((p) => p.currentMonthlyCost),
        add((p) => p.recommendedMonthlyCost),
      ),
      namespaces: parts,
    };
  },
};
