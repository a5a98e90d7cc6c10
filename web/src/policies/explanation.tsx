import { useQuery } from "@connectrpc/connect-query";
import { type PolicyMatch, PolicyMode, PolicyService } from "@rightsizer/api/policy_service";
import { plural } from "../format/quantity";
import { Badge } from "../ui/badge";
import { Loaded } from "../ui/loaded";
import { Untrusted } from "../ui/untrusted";
import { ModeBadge, modeSays } from "./modes";
import type { Target } from "./search";

// Which policy governs a workload, and why each other one does not.
export function Explanation({ target }: { target: Target }) {
  const query = useQuery(
    PolicyService.method.explainPolicy,
    { ...target },
    { refetchInterval: 15_000, retry: false },
  );
  return (
    <Loaded query={query} what="the policy" rows={2}>
      {({ policy, matches }) => (
        <div className="flex flex-col gap-2 p-3">
          {policy ? (
            <p className="flex flex-wrap items-center gap-2">
              <ModeBadge mode={policy.mode} />
              <Untrusted text={nameOf(policy)} className="font-medium break-all" />
              <span className="text-soft">{modeSays(policy.mode)}</span>
            </p>
          ) : (
            <p className="flex flex-wrap items-center gap-2">
              <ModeBadge mode={PolicyMode.RECOMMEND} />
              <span>No policy governs it:</span>
              <span className="text-soft">{modeSays(PolicyMode.RECOMMEND)}</span>
            </p>
          )}
          {matches.length > 0 && (
            <details>
              <summary className="text-soft">
                Why: {plural(matches.length, "policy was considered", "policies were considered")}
              </summary>
              <ol className="mt-2 flex flex-col gap-1.5">
                {matches.map((match, index) => (
                  <Match
                    key={nameOf(match.policy)}
                    match={match}
                    won={index === 0 && policy !== undefined}
                  />
                ))}
              </ol>
            </details>
          )}
        </div>
      )}
    </Loaded>
  );
}

function Match({ match: { policy, selected, reason }, won }: { match: PolicyMatch; won: boolean }) {
  return (
    <li className="flex flex-wrap items-baseline gap-x-2">
      <Badge tone={won ? "good" : "plain"}>
        {won ? "governs" : selected ? "matches, lost" : "does not match"}
      </Badge>
      <Untrusted text={nameOf(policy)} className="break-all" />
      <Untrusted text={reason} className="text-soft break-words" />
    </li>
  );
}

export function nameOf(policy: PolicyMatch["policy"]): string {
  if (!policy) return "";
  const { kind, namespace, name } = policy;
  return namespace ? `${kind}/${namespace}/${name}` : `${kind}/${name}`;
}
