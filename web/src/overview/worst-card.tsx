import { useQuery } from "@connectrpc/connect-query";
import { WorkloadService } from "@rightsizer/api/workload_service";
import { plural } from "../format/quantity";
import { Card } from "../ui/card";
import { Loaded } from "../ui/loaded";
import { SeverityMark } from "../ui/severity";
import { Untrusted } from "../ui/untrusted";
import { WorkloadLink } from "../ui/workload-link";
import { More } from "./more";

export function WorstCard() {
  const query = useQuery(
    WorkloadService.method.listWorkloads,
    { withProblems: true, orderBy: "open_problems", pageSize: 6, allowedOnly: true },
    { refetchInterval: 10_000 },
  );
  const total = query.data?.totalSize;
  return (
    <Card
      title={`Workloads in trouble${total ? ` (${total})` : ""}`}
      aside={
        <More to="/workloads" search={{ problems: "only", order: "open_problems" }}>
          All of them
        </More>
      }
    >
      <Loaded query={query} what="workloads" rows={4}>
        {({ workloads }) =>
          workloads.length === 0 ? (
            <p className="p-3 text-soft">No workload has an open problem.</p>
          ) : (
            <ul className="divide-y divide-line">
              {workloads.map(({ namespace, ref, worstSeverity, openProblems, restarts }) => (
                <li
                  key={`${namespace}/${ref?.kind}/${ref?.name}`}
                  data-row=""
                  className="grid gap-x-3 px-3 py-2 sm:grid-cols-[5.5rem_1fr_auto]"
                >
                  <span>
                    <SeverityMark severity={worstSeverity} />
                  </span>
                  <span className="min-w-0 truncate">
                    <WorkloadLink namespace={namespace} workload={ref} />{" "}
                    <Untrusted text={namespace} className="text-soft" />
                  </span>
                  <span className="text-xs leading-5 text-soft tabular-nums">
                    {plural(openProblems, "problem")}, {plural(restarts, "restart")}
                  </span>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Card>
  );
}
