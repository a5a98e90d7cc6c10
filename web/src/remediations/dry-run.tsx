import { useMutation } from "@connectrpc/connect-query";
import type { Remediation, RemediationAction } from "@rightsizer/api/remediation";
import { RemediationService } from "@rightsizer/api/remediation_service";
import { useState } from "react";
import { explainOnce } from "../api/failure";
import { requestId } from "../api/request-id";
import { FailureNotice } from "../ui/failure-notice";
import { Modal } from "../ui/modal";
import { SkeletonRows } from "../ui/skeleton";
import { Untrusted } from "../ui/untrusted";
import { ChangeList, Parameters } from "./action";
import { Ask } from "./ask";
import { changes } from "./changes";
import { Patch } from "./patch";
import { RiskBadge, StateBadge } from "./states";

export interface Wanted {
  namespace: string;
  kind: string;
  name: string;
  container: string;
  action: RemediationAction;
}

export function DryRunAgain({ remediation }: { remediation: Remediation }) {
  const { namespace, workload, container, action } = remediation;
  if (!workload || !action) return null;
  return (
    <DryRunButton
      wanted={{ namespace, kind: workload.kind, name: workload.name, container, action }}
      label="Dry run it now"
    />
  );
}

interface ButtonProps {
  wanted: Wanted;
  label: string;
  ask?: boolean;
}

// Asks what an action would do now; nothing is kept or changed.
// Where `ask` is set, he who liked what he saw may ask for it.
export function DryRunButton({ wanted, label, ask = false }: ButtonProps) {
  // What was asked about, which may change under the dialog: only that may be asked for.
  const [tried, setTried] = useState<Wanted>();
  const dryRun = useMutation(RemediationService.method.createRemediation);

  function start() {
    setTried(wanted);
    dryRun.reset();
    dryRun.mutate({ ...wanted, validateOnly: true, requestId: requestId() });
  }

  return (
    <>
      <button type="button" className="field" onClick={start}>
        {label}
      </button>
      {tried && (
        <Modal title="Dry run" close={() => setTried(undefined)}>
          {dryRun.error ? (
            <FailureNotice failure={explainOnce(dryRun.error)} />
          ) : dryRun.data?.remediation ? (
            <>
              <Outcome remediation={dryRun.data.remediation} />
              {ask && <Ask wanted={tried} />}
            </>
          ) : (
            <SkeletonRows what="the dry run" rows={4} />
          )}
        </Modal>
      )}
    </>
  );
}

function Outcome({ remediation }: { remediation: Remediation }) {
  const { state, risk, riskReasons, message, diff, action } = remediation;
  return (
    <div role="status" className="flex flex-col gap-3">
      <p className="flex flex-wrap items-center gap-2">
        <StateBadge state={state} /> <RiskBadge risk={risk} />
      </p>
      {message && (
        <p className="break-words">
          <Untrusted text={message} />
        </p>
      )}
      <ChangeList list={changes(remediation)} />
      <Parameters action={action} />
      {riskReasons.length > 0 && (
        <ul className="list-disc ps-4 text-soft">
          {riskReasons.map((reason) => (
            <li key={reason}>
              <Untrusted text={reason} />
            </li>
          ))}
        </ul>
      )}
      <Patch diff={diff} />
      <p className="text-soft">Nothing was changed.</p>
    </div>
  );
}
