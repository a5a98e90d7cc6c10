import { useQuery } from "@connectrpc/connect-query";
import { RemediationState } from "@rightsizer/api/remediation";
import { RemediationService } from "@rightsizer/api/remediation_service";
import { useClusterReady } from "../cluster/use-cluster";

const most = 100;

// How many remediations wait for a person, for the navigation: "100+" where there
// are more than one page of them; undefined for none and for not known.
export function useWaiting(): string | undefined {
  const ready = useClusterReady();
  const { data } = useQuery(
    RemediationService.method.listRemediations,
    { states: [RemediationState.PENDING_APPROVAL], pageSize: most, allowedOnly: true },
    { refetchInterval: 15_000, enabled: ready, retry: false },
  );
  const count = data?.remediations.length ?? 0;
  if (count === 0) return undefined;
  return data?.nextPageToken ? `${most}+` : String(count);
}
