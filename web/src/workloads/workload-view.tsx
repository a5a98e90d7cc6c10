import { useQuery } from "@connectrpc/connect-query";
import { WorkloadService } from "@rightsizer/api/workload_service";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Explanation } from "../policies/explanation";
import { Card } from "../ui/card";
import { Loaded } from "../ui/loaded";
import { Untrusted } from "../ui/untrusted";
import { ViewTitle } from "../ui/view-title";
import { ContainerTable } from "./container-table";
import { Managers } from "./managers";
import { PodTable } from "./pod-table";
import { ProblemList } from "./problem-list";
import { RecommendationSection } from "./recommendation-section";
import { UsageCard } from "./usage-card";
import { WorkloadFacts } from "./workload-facts";

const route = getRouteApi("/workloads/$namespace/$kind/$name");

export function WorkloadView() {
  const { namespace, kind, name } = route.useParams();
  const query = useQuery(
    WorkloadService.method.getWorkload,
    { namespace, kind, name },
    { refetchInterval: 5000 },
  );
  const search = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <>
      <nav aria-label="Where you are" className="text-soft">
        <Link to="/workloads" className="bare-link">
          Workloads
        </Link>{" "}
        /{" "}
        <Link to="/workloads" search={{ namespace }} className="bare-link">
          <Untrusted text={namespace} />
        </Link>
      </nav>
      <ViewTitle title={name}>
        <Untrusted text={name} /> <span className="font-normal text-soft">{kind}</span>
      </ViewTitle>
      <Loaded query={query} what="the workload">
        {({ workload, problems, managers, pods }) =>
          workload && (
            <>
              <WorkloadFacts workload={workload} />
              <ProblemList problems={problems} namespace={namespace} workload={`${kind}/${name}`} />
              <UsageCard
                workload={workload}
                search={search}
                set={(next) => void navigate({ search: next, replace: true })}
              />
              <div className="grid items-start gap-4 xl:grid-cols-2">
                <RecommendationSection namespace={namespace} kind={kind} name={name} />
                <Card
                  title="Who decides"
                  aside={
                    <Link
                      to="/policies"
                      search={{ workload: `${namespace}/${kind}/${name}` }}
                      className="bare-link text-xs"
                    >
                      Policies
                    </Link>
                  }
                >
                  <Explanation target={{ namespace, kind, name }} />
                  <Managers managers={managers} />
                </Card>
              </div>
              <ContainerTable containers={workload.containers} />
              <PodTable pods={pods} />
            </>
          )
        }
      </Loaded>
    </>
  );
}
