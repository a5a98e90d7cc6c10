import { create } from "@bufbuild/protobuf";
import { type Recommendation, RecommendationState } from "@rightsizer/api/recommendation";
import { RemediationActionSchema } from "@rightsizer/api/remediation";
import { bytes, cpu, money, moneyChange, plural, share } from "../format/quantity";
import { ago, durationMs, span } from "../format/time";
import { DryRunButton } from "../remediations/dry-run";
import { Badge } from "../ui/badge";
import { Fact } from "../ui/fact";
import { Untrusted } from "../ui/untrusted";
import { FromTo } from "./amounts";
import { WorthBadge } from "./columns";
import { Terms } from "./terms";

// One container's recommendation with the numbers behind it.
export function RecommendationDetails({ recommendation: r }: { recommendation: Recommendation }) {
  const due = [r.memoryChangeDue && "memory", r.cpuChangeDue && "CPU"].filter(Boolean);
  return (
    <div className="flex flex-col gap-3 p-3">
      <p className="flex flex-wrap items-center gap-2">
        <Untrusted text={r.container} className="font-semibold" />
        <WorthBadge state={r.state} />
        {due.length > 0 ? (
          <Badge tone="info">change of {due.join(" and ")} is due</Badge>
        ) : (
          <Badge>no change is due</Badge>
        )}
        {r.restartRequired && <Badge tone="warning">takes a restart</Badge>}
      </p>
      {r.state !== RecommendationState.NO_DATA && (
        <dl className="grid gap-x-6 gap-y-2 sm:grid-cols-2">
          <Fact name="Memory request">
            {fromTo(r.currentRequests?.memoryBytes, r.targetRequests?.memoryBytes, bytes)}
          </Fact>
          <Fact name="Memory limit">
            {fromTo(r.currentLimits?.memoryBytes, r.targetLimits?.memoryBytes, bytes)}
          </Fact>
          <Fact name="CPU request">
            {fromTo(r.currentRequests?.cpuMillis, r.targetRequests?.cpuMillis, cpu)}
          </Fact>
          <Fact name="CPU limit">
            {fromTo(r.currentLimits?.cpuMillis, r.targetLimits?.cpuMillis, cpu)}
          </Fact>
        </dl>
      )}
      <dl className="flex flex-wrap gap-x-6 gap-y-2 border-t border-line pt-3">
        <Fact name="Confidence">{share(r.confidence)}</Fact>
        <Fact name="Newest data">{r.dataAge ? ago(durationMs(r.dataAge)) : "none"}</Fact>
        <Fact name="Data spans">{r.dataSpan ? span(durationMs(r.dataSpan)) : "nothing"}</Fact>
        <Fact name="OOM kills seen">{r.oomKills}</Fact>
        <Fact name="OOM risk a day">{share(r.oomRisk)}</Fact>
        <Fact name="Cost a month">
          {money(r.currentMonthlyCost)} → {money(r.recommendedMonthlyCost)}{" "}
          <span className="text-soft">
            ({moneyChange(r.monthlyCostDelta)} for {plural(r.replicas, "replica")})
          </span>
        </Fact>
        {r.startupPeak && r.startupPeak.memoryBytes > 0n && (
          <Fact name="Peak while starting">{bytes(r.startupPeak.memoryBytes)}</Fact>
        )}
      </dl>
      {r.boundBy.length > 0 && (
        <p>
          Bound by{" "}
          {r.boundBy.map((bound) => (
            <span key={bound} className="me-1.5">
              <Badge>
                <Untrusted text={bound} />
              </Badge>
            </span>
          ))}
        </p>
      )}
      <Terms recommendation={r} />
      <DryRun recommendation={r} />
    </div>
  );
}

function fromTo(from = 0n, to = 0n, show: (amount: bigint) => string) {
  return <FromTo from={from} to={to} show={show} />;
}

function DryRun({ recommendation: r }: { recommendation: Recommendation }) {
  if (!r.workload || r.state === RecommendationState.NO_DATA) return null;
  const action = create(RemediationActionSchema, {
    kind: r.restartRequired ? "resize_template" : "resize_in_place",
    ...(r.targetRequests && { requests: r.targetRequests }),
    ...(r.targetLimits && { limits: r.targetLimits }),
  });
  const { kind, name } = r.workload;
  return (
    <div>
      <DryRunButton
        label="Dry run this"
        ask
        wanted={{ namespace: r.namespace, kind, name, container: r.container, action }}
      />
    </div>
  );
}
