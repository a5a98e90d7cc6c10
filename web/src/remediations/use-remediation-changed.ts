import { createConnectQueryKey } from "@connectrpc/connect-query";
import { AuditService } from "@rightsizer/api/audit_service";
import { RemediationService } from "@rightsizer/api/remediation_service";
import { useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";

// After a decision everything that shows remediations, or their record, is asked
// anew.
export function useRemediationChanged(): () => void {
  const queries = useQueryClient();
  return useCallback(() => {
    for (const schema of [RemediationService, AuditService])
      void queries.invalidateQueries({
        queryKey: createConnectQueryKey({ schema, cardinality: undefined }),
      });
  }, [queries]);
}
