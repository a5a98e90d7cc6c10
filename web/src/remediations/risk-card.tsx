import type { Event } from "@rightsizer/api/event";
import type { Remediation } from "@rightsizer/api/remediation";
import { plural } from "../format/quantity";
import { Card } from "../ui/card";
import { CheckIcon, WarningIcon } from "../ui/icons";
import { Untrusted } from "../ui/untrusted";
import { RiskBadge } from "./states";

interface Props {
  remediation: Remediation;
  problems: readonly Event[];
}

// Why it is as risky as it is, and whether a disruption budget stands against it.
export function RiskCard({ remediation: { risk, riskReasons }, problems }: Props) {
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
        <Budgets problems={problems} />
      </div>
    </Card>
  );
}

function Budgets({ problems }: { problems: readonly Event[] }) {
  const blocking = problems.flatMap(({ details, object, id }) =>
    details.case === "pdb" ? [{ id, name: object?.name ?? "", pdb: details.value }] : [],
  );
  if (blocking.length === 0)
    return (
      <p className="flex gap-2 border-t border-line pt-2 text-soft">
        <CheckIcon className="mt-0.5 size-4 text-good" />
        No PodDisruptionBudget of this workload is known to be used up.
      </p>
    );
  return (
    <ul className="flex flex-col gap-1 border-t border-line pt-2">
      {blocking.map(({ id, name, pdb }) => (
        <li key={id} className="flex gap-2 text-warning">
          <WarningIcon className="mt-0.5 size-4" />
          <span>
            PodDisruptionBudget <Untrusted text={name} /> allows{" "}
            {plural(pdb.disruptionsAllowed, "eviction")}: {pdb.currentHealthy} of {pdb.expectedPods}{" "}
            pods are healthy, {pdb.desiredHealthy} must be.
          </span>
        </li>
      ))}
    </ul>
  );
}
