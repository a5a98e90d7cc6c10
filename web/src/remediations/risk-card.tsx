import type { Event } from "@rightsizer/api/event";
import type { Remediation } from "@rightsizer/api/remediation";
import { explain } from "../api/failure";
import { plural } from "../format/quantity";
import { Card } from "../ui/card";
import { WarningIcon } from "../ui/icons";
import { SkeletonRows } from "../ui/skeleton";
import { Untrusted } from "../ui/untrusted";
import { RiskBadge } from "./states";

interface Props {
  remediation: Remediation;
  problems: readonly Event[] | undefined; // of its workload; undefined while not known
  error: unknown; // why they are not known, or no longer
}

// Why it is as risky as it is, and whether a disruption budget stands against it.
export function RiskCard({ remediation: { risk, riskReasons, workload }, problems, error }: Props) {
  return (
    <Card title="Risk" aside={<RiskBadge risk={risk} />}>
      <div className="flex flex-col gap-2 p-3">
        {riskReasons.length === 0 ? (
          <p className="text-soft">No reasons were given.</p>
        ) : (
          <ul className="flex list-disc flex-col gap-1 ps-4 marker:text-edge">
            {riskReasons.map((reason) => (
              <li key={reason} className="break-words">
                <Untrusted text={reason} />
              </li>
            ))}
          </ul>
        )}
        {workload && (
          <div className="flex flex-col gap-1 border-t border-line pt-2">
            {error !== null && <Unknown error={error} stale={problems !== undefined} />}
            {problems ? (
              <Budgets problems={problems} />
            ) : (
              error === null && <SkeletonRows what="the disruption budgets" rows={1} />
            )}
          </div>
        )}
      </div>
    </Card>
  );
}

function Unknown({ error, stale }: { error: unknown; stale: boolean }) {
  const { title } = explain(error);
  return (
    <p role="status" className="text-warning">
      {stale
        ? `Disruption budgets are not up to date: ${title.toLowerCase()}.`
        : `Whether a PodDisruptionBudget stands against it is not known: ${title.toLowerCase()}.`}
    </p>
  );
}

function Budgets({ problems }: { problems: readonly Event[] }) {
  const blocking = problems.flatMap(({ details, object, id, reason }) =>
    details.case === "pdb" ? [{ id, reason, name: object?.name ?? "", pdb: details.value }] : [],
  );
  if (blocking.length === 0)
    return (
      <p className="text-soft">
        No PodDisruptionBudget of this workload is told to be used up. That is told only after ten
        minutes without an eviction left; what was left when this was planned is among the reasons.
      </p>
    );
  return (
    <ul className="flex flex-col gap-1">
      {blocking.map(({ id, reason, name, pdb }) => (
        <li key={id} className="flex gap-2 text-warning">
          <WarningIcon className="mt-0.5 size-4" />
          <span>
            PodDisruptionBudget <Untrusted text={name} /> allows{" "}
            {plural(pdb.disruptionsAllowed, "eviction")}
            {reason === "SyncFailed"
              ? ", since its pods cannot be counted."
              : `: ${pdb.currentHealthy} of ${pdb.expectedPods} pods are healthy, ${pdb.desiredHealthy} must be.`}
          </span>
        </li>
      ))}
    </ul>
  );
}
