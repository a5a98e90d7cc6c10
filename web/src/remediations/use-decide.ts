import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import type { Remediation } from "@rightsizer/api/remediation";
import { RemediationService } from "@rightsizer/api/remediation_service";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { requestId } from "../api/request-id";
import type { Decision } from "./decision-form";

// How often the same decision is sent with another etag.
const most = 3;

// useDecide sends a decision on what was looked at, under one key for as long as it
// is mounted: pressed twice, it is one decision. While a remediation waits, further
// causes join it: that is another etag and not another thing to decide on, and does
// not get in the way.
export function useDecide(decision: Decision, seen: Remediation) {
  const transport = useTransport();
  const [key] = useState(requestId);
  const { namespace, name } = seen;

  async function send(etag: string, reason: string) {
    const client = createClient(RemediationService, transport);
    const request = { namespace, name, etag, reason, requestId: key };
    switch (decision) {
      case "approve":
        return client.approveRemediation(request);
      case "reject":
        return client.rejectRemediation(request);
      case "cancel":
        return client.cancelRemediation(request);
      case "rollback":
        return client.rollbackRemediation(request);
    }
  }

  async function latest(): Promise<Remediation | undefined> {
    const client = createClient(RemediationService, transport);
    return (await client.getRemediation({ namespace, name })).remediation;
  }

  return useMutation({
    mutationFn: async (reason: string) => {
      let etag = seen.etag;
      for (let tries = 1; ; tries++) {
        try {
          return await send(etag, reason);
        } catch (fault) {
          if (ConnectError.from(fault).code !== Code.Aborted || tries === most) throw fault;
          const now = await latest();
          if (!now || !sameToDecide(seen, now)) throw fault;
          etag = now.etag;
        }
      }
    },
  });
}

// What a remediation would do does not change: its generation is that of its spec.
function sameToDecide(seen: Remediation, now: Remediation): boolean {
  return now.uid === seen.uid && now.generation === seen.generation && now.state === seen.state;
}
