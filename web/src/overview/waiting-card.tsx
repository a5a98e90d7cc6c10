import { useQuery } from "@connectrpc/connect-query";
import { RemediationState } from "@rightsizer/api/remediation";
import { RemediationService } from "@rightsizer/api/remediation_service";
import { Link } from "@tanstack/react-router";
import { actionName } from "../remediations/action";
import { Expiry } from "../remediations/expiry";
import { RiskBadge } from "../remediations/states";
import { Card } from "../ui/card";
import { Loaded } from "../ui/loaded";
import { Untrusted } from "../ui/untrusted";
import { useNow } from "../ui/use-now";
import { More } from "./more";

const shown = 5;

export function WaitingCard() {
  const now = useNow(5000);
  // The same question as the navigation's: asked once.
  const query = useQuery(
    RemediationService.method.listRemediations,
    { states: [RemediationState.PENDING_APPROVAL], pageSize: 100, allowedOnly: true },
    { refetchInterval: 15_000, retry: false },
  );
  return (
    <Card title="Waiting for approval" aside={<More to="/approvals">All approvals</More>}>
      <Loaded query={query} what="approvals" rows={3}>
        {({ remediations }) =>
          remediations.length === 0 ? (
            <p className="p-3 text-soft">Nothing waits for a decision.</p>
          ) : (
            <ul className="divide-y divide-line">
              {remediations
                .slice(0, shown)
                .map(({ namespace, name, action, workload, risk, expireTime }) => (
                  <li key={`${namespace}/${name}`} data-row="">
                    <Link
                      to="/approvals/$namespace/$name"
                      params={{ namespace, name }}
                      className="flex flex-wrap items-center gap-x-3 gap-y-1 px-3 py-2 -outline-offset-2 hover:bg-raised"
                    >
                      <RiskBadge risk={risk} />
                      <span className="min-w-0 flex-1 truncate">
                        {actionName(action)}{" "}
                        <Untrusted text={workload?.name ?? ""} className="font-medium" />
                      </span>
                      <span className="text-xs text-soft">
                        <Expiry time={expireTime} now={now} verb="expires " />
                      </span>
                    </Link>
                  </li>
                ))}
            </ul>
          )
        }
      </Loaded>
    </Card>
  );
}
