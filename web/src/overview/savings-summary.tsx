import { useQuery } from "@connectrpc/connect-query";
import { WorkloadService } from "@rightsizer/api/workload_service";
import { money, percent } from "../format/quantity";
import { Saved } from "../recommendations/saved";
import { Card } from "../ui/card";
import { Loaded } from "../ui/loaded";
import { More } from "./more";

export function SavingsSummary() {
  const query = useQuery(
    WorkloadService.method.getSavings,
    { allowedOnly: true },
    { refetchInterval: 60_000 },
  );
  return (
    <Card title="Savings" aside={<More to="/recommendations">Recommendations</More>}>
      <Loaded query={query} what="savings" rows={3}>
        {({ total }) => {
          const now = total?.currentMonthlyCost ?? 0;
          const then = total?.recommendedMonthlyCost ?? 0;
          if (now === 0)
            return (
              <p className="p-3 text-soft">No prices and no measured use to compute from yet.</p>
            );
          const change = percent(BigInt(Math.round(Math.abs(then - now))), BigInt(Math.round(now)));
          return (
            <div className="flex flex-wrap items-baseline gap-x-4 p-3">
              <Saved now={now} then={then} />
              <p className="text-soft tabular-nums">
                {change} % of {money(now)} as requested now
              </p>
            </div>
          );
        }}
      </Loaded>
    </Card>
  );
}
