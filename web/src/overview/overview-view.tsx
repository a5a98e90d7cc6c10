import { ClusterHeader } from "../cluster/cluster-header";
import { Later, later, useIdle } from "../ui/later";
import { ViewTitle } from "../ui/view-title";
import { IncidentsCard } from "./incidents-card";
import { SavingsSummary } from "./savings-summary";
import { TroubleCard } from "./trouble-card";
import { WorstCard } from "./worst-card";

const WaitingCard = later(() => import("./waiting-card"), "WaitingCard");

// The cluster at a glance: is it well, what goes wrong, what could be better,
// what waits for a person.
export function OverviewView() {
  const idle = useIdle();
  return (
    <>
      <ViewTitle title="Overview" />
      <ClusterHeader />
      <TroubleCard />
      <div className="grid items-start gap-4 lg:grid-cols-2">
        <IncidentsCard />
        <WorstCard />
        {idle && (
          <Later>
            <WaitingCard />
          </Later>
        )}
        <SavingsSummary />
      </div>
    </>
  );
}
