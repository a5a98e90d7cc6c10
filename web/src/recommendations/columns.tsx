import { type Recommendation, RecommendationState } from "@rightsizer/api/recommendation";
import { bytes, cpu, moneyChange, share } from "../format/quantity";
import { ago, durationMs } from "../format/time";
import { Badge, type Tone } from "../ui/badge";
import type { Column } from "../ui/data-table";
import { Untrusted } from "../ui/untrusted";
import { WorkloadLink } from "../ui/workload-link";
import { FromTo } from "./amounts";

const states: Record<RecommendationState, { name: string; tone: Tone }> = {
  [RecommendationState.UNSPECIFIED]: { name: "unknown", tone: "plain" },
  [RecommendationState.NO_DATA]: { name: "not measured", tone: "plain" },
  [RecommendationState.WARMING_UP]: { name: "warming up", tone: "info" },
  [RecommendationState.STALE]: { name: "stale", tone: "warning" },
  [RecommendationState.READY]: { name: "ready", tone: "good" },
};

export function WorthBadge({ state }: { state: RecommendationState }) {
  const { name, tone } = states[state] ?? states[RecommendationState.UNSPECIFIED];
  return <Badge tone={tone}>{name}</Badge>;
}

export const recommendationColumns: Column<Recommendation>[] = [
  {
    name: "Workload",
    head: "Workload",
    cell: ({ namespace, workload, container }) => (
      <span className="flex flex-col">
        <WorkloadLink namespace={namespace} workload={workload} />
        <span className="text-xs text-soft">
          <Untrusted text={namespace} /> / <Untrusted text={container} />
        </span>
      </span>
    ),
  },
  {
    name: "Memory request",
    head: "Memory request",
    cell: ({ currentRequests, targetRequests }) => (
      <FromTo
        from={currentRequests?.memoryBytes ?? 0n}
        to={targetRequests?.memoryBytes ?? 0n}
        show={bytes}
      />
    ),
  },
  {
    name: "CPU request",
    head: "CPU request",
    cell: ({ currentRequests, targetRequests }) => (
      <FromTo
        from={currentRequests?.cpuMillis ?? 0n}
        to={targetRequests?.cpuMillis ?? 0n}
        show={cpu}
      />
    ),
  },
  {
    name: "Change of cost",
    head: "A month",
    number: true,
    cell: ({ monthlyCostDelta }) => (
      <span className={monthlyCostDelta < 0 ? "font-semibold text-good" : ""}>
        {moneyChange(monthlyCostDelta)}
      </span>
    ),
  },
  {
    name: "Confidence and newest data",
    head: "Confidence",
    cell: ({ state, confidence, dataAge }) => (
      <span className="flex flex-col">
        <span>
          {share(confidence)} <WorthBadge state={state} />
        </span>
        <span className="text-xs text-soft">
          {dataAge ? `data of ${ago(durationMs(dataAge))}` : "no data"}
        </span>
      </span>
    ),
  },
  {
    name: "OOM risk a day",
    head: "OOM risk/day",
    number: true,
    cell: ({ oomRisk }) => share(oomRisk),
  },
  {
    name: "Restart",
    head: "Restart",
    cell: ({ restartRequired }) =>
      restartRequired ? (
        <Badge tone="warning">needed</Badge>
      ) : (
        <span className="text-soft">no</span>
      ),
  },
];
