import { useQuery } from "@connectrpc/connect-query";
import type { Remediation } from "@rightsizer/api/remediation";
import { RemediationService } from "@rightsizer/api/remediation_service";
import { WorkloadService } from "@rightsizer/api/workload_service";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Card } from "../ui/card";
import { Loaded } from "../ui/loaded";
import { Untrusted } from "../ui/untrusted";
import { useNow } from "../ui/use-now";
import { ViewTitle } from "../ui/view-title";
import { actionDoes, actionName, ChangeList, Parameters } from "./action";
import { changes, inForce } from "./changes";
import { Decide } from "./decide";
import { Patch } from "./patch";
import { RemediationFacts } from "./remediation-facts";
import { RiskCard } from "./risk-card";
import { mayCancel, StateBadge } from "./states";
import { Steps } from "./steps";
import { TargetTable } from "./target-table";

const route = getRouteApi("/approvals/$namespace/$name");

export function RemediationView() {
  const { namespace, name } = route.useParams();
  const query = useQuery(
    RemediationService.method.getRemediation,
    { namespace, name },
    { refetchInterval: 2000 },
  );
  return (
    <>
      <nav aria-label="Where you are" className="text-soft">
        <Link to="/approvals" className="bare-link">
          Approvals
        </Link>{" "}
        /{" "}
        <Link to="/approvals" search={{ namespace, show: "all" }} className="bare-link">
          <Untrusted text={namespace} />
        </Link>
      </nav>
      <Loaded query={query} what="the remediation">
        {({ remediation }) => remediation && <Details remediation={remediation} />}
      </Loaded>
    </>
  );
}

function Details({ remediation }: { remediation: Remediation }) {
  const now = useNow(1000);
  const { namespace, workload, container, action, message } = remediation;
  const query = useQuery(
    WorkloadService.method.getWorkload,
    { namespace, kind: workload?.kind ?? "", name: workload?.name ?? "" },
    { enabled: workload !== undefined, retry: false, refetchInterval: 5000 },
  );
  const { data } = query;
  // Against what is in force, as long as that is what was there before.
  const list = changes(
    remediation,
    mayCancel(remediation) ? inForce(data?.workload, container) : {},
  );
  return (
    <>
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <ViewTitle title={`${actionName(action)}: ${workload?.name ?? namespace}`}>
          {actionName(action)} <Untrusted text={workload?.name ?? ""} />
        </ViewTitle>
        <span role="status">
          <StateBadge state={remediation.state} />
        </span>
      </div>
      {message && (
        <p className="text-soft break-words">
          <Untrusted text={message} />
        </p>
      )}
      <Steps state={remediation.state} />
      <div className="grid items-start gap-4 xl:grid-cols-[3fr_2fr]">
        <div className="flex min-w-0 flex-col gap-4">
          <Card title="What changes">
            <div className="flex flex-col gap-3 p-3">
              <p className="text-soft">{actionDoes(action)}</p>
              <ChangeList list={list} />
              <Parameters action={action} />
              <Patch diff={remediation.diff} saveAsName={`${remediation.name}.json`} />
            </div>
            <Decide remediation={remediation} pods={data?.workload?.pods} />
          </Card>
          <TargetTable remediation={remediation} />
        </div>
        <div className="flex min-w-0 flex-col gap-4">
          <RiskCard remediation={remediation} problems={data?.problems} error={query.error} />
          <RemediationFacts remediation={remediation} now={now} />
        </div>
      </div>
    </>
  );
}
