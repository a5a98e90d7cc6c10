import { lazy, Suspense } from "react";
import { ClusterHeader } from "../cluster/cluster-header";
import { ViewTitle } from "../ui/view-title";
import { IncidentsCard } from "./incidents-card";
import { SavingsSummary } from "./savings-summary";
import { TroubleCard } from "./trouble-card";
import { WorstCard } from "./worst-card";

const WaitingCard = lazy(() =>
  import("./waiting-card").then(({ WaitingCard }) => ({ default: WaitingCard })),
);

// The cluster at a glance: is it well, what goes wrong, what could be better,
// what waits for a person.
export function OverviewView() {
  return (
    <>
      <ViewTitle title="Overview" />
      <ClusterHeader />
      <TroubleCard />
      <div className="grid items-start gap-4 lg:grid-cols-2">
        <IncidentsCard />
        <WorstCard />
        <Suspense>
          <WaitingCard />
        </Suspense>
        <SavingsSummary />
      </div>
    </>
  );
}
