import { useQuery } from "@connectrpc/connect-query";
import { RemediationState } from "@rightsizer/api/remediation";
import { RemediationService } from "@rightsizer/api/remediation_service";
import { explain } from "../api/failure";
import { useClusterReady } from "../cluster/use-cluster";

const most = 100;

interface Waiting {
  count: string; // empty for none, or while it is asked for the first time
  known: boolean; // false where there is no answer
}

// How many remediations wait for a person, for the navigation: "100+" where there
// are more than one page of them. Where the operator has none to offer, none waits.
export function useWaiting(): Waiting {
  const ready = useClusterReady();
  const { data, error } = useQuery(
    RemediationService.method.listRemediations,
    { states: [RemediationState.PENDING_APPROVAL], pageSize: most, allowedOnly: true },
    { refetchInterval: 15_000, enabled: ready, retry: false },
  );
  if (!data) return { count: "", known: !error || explain(error).kind === "absent" };
  const { length } = data.remediations;
  const count = data.nextPageToken ? `${most}+` : String(length || "");
  return { count, known: true };
}
