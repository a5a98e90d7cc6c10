import { useMutation } from "@connectrpc/connect-query";
import { RemediationService } from "@rightsizer/api/remediation_service";
import { Link } from "@tanstack/react-router";
import { type FormEvent, useId, useState } from "react";
import { explainOnce, isUnsure } from "../api/failure";
import { requestId } from "../api/request-id";
import { FailureNotice } from "../ui/failure-notice";
import type { Wanted } from "./dry-run";
import { StateBadge } from "./states";
import { useRemediationChanged } from "./use-remediation-changed";

// Asks for what was dry-run: it becomes a remediation, which policy, guards and
// approval decide on like any other.
export function Ask({ wanted }: { wanted: Wanted }) {
  const id = useId();
  const changed = useRemediationChanged();
  const [reason, setReason] = useState("");
  // The key lasts as long as the dialog: pressed twice, it is one remediation. That
  // holds for the same text: what may be asked for already keeps it.
  const [key] = useState(requestId);
  const [sent, setSent] = useState(false);
  const ask = useMutation(RemediationService.method.createRemediation, {
    onSuccess: changed,
    onError: (reason) => isUnsure(reason) && setSent(true),
  });
  const made = ask.data?.remediation;

  function submit(event: FormEvent) {
    event.preventDefault();
    if (!ask.isPending) ask.mutate({ ...wanted, reason: reason.trim(), requestId: key });
  }

  if (made)
    return (
      <p role="status" className="flex flex-wrap items-center gap-2 border-t border-line pt-3">
        <StateBadge state={made.state} />
        <Link
          to="/approvals/$namespace/$name"
          params={{ namespace: made.namespace, name: made.name }}
          className="bare-link"
        >
          See what becomes of it
        </Link>
      </p>
    );
  return (
    <form className="flex flex-col gap-2 border-t border-line pt-3" onSubmit={submit}>
      {ask.error && <FailureNotice failure={explainOnce(ask.error, { keyed: true })} />}
      <label htmlFor={id}>
        Reason, for the audit {sent ? "(as it was sent)" : "(may be left out)"}
      </label>
      <textarea
        id={id}
        className="field"
        rows={2}
        maxLength={250}
        readOnly={sent || ask.isPending}
        value={reason}
        onChange={(change) => setReason(change.target.value)}
      />
      <button type="submit" className="button-main self-end" disabled={ask.isPending}>
        {ask.isPending ? "Asking" : "Ask for it"}
      </button>
    </form>
  );
}
