import type { Remediation } from "@rightsizer/api/remediation";
import { type FormEvent, useId, useState } from "react";
import { plural } from "../format/quantity";
import { visible } from "../format/visible";
import { WarningIcon } from "../ui/icons";
import { Untrusted } from "../ui/untrusted";
import { actionDoes, actionName, ChangeList } from "./action";
import { changes } from "./changes";
import { needsTyping, RiskBadge } from "./states";

export type Decision = "approve" | "reject" | "cancel" | "rollback";

interface Props {
  decision: Decision;
  remediation: Remediation;
  pods: number | undefined;
  busy: boolean;
  sent: boolean; // whether it may be made already, with the text that was given
  send: (reason: string) => void;
  close: () => void;
}

const buttons: Record<Decision, string> = {
  approve: "Approve",
  reject: "Reject",
  cancel: "Cancel the remediation",
  rollback: "Roll back",
};

export function DecisionForm({ decision, remediation, pods, busy, sent, send, close }: Props) {
  const id = useId();
  const [reason, setReason] = useState("");
  const [typed, setTyped] = useState("");
  const target = remediation.workload?.name ?? remediation.name;
  // Saying no is never dangerous; doing something may be.
  const typing = (decision === "approve" || decision === "rollback") && needsTyping(remediation);
  const wantsReason = decision === "reject";
  const hint = sent ? " (as it was sent)" : wantsReason ? "" : " (may be left out)";
  const ready = (!typing || typed === target) && (!wantsReason || reason.trim() !== "") && !busy;

  function submit(event: FormEvent) {
    event.preventDefault();
    if (ready) send(reason.trim());
  }

  return (
    <form className="flex flex-col gap-3" onSubmit={submit}>
      <div className="flex flex-wrap items-center gap-2">
        <RiskBadge risk={remediation.risk} />
        <strong>{actionName(remediation.action)}</strong>
        <span className="break-all">
          <Untrusted text={`${remediation.namespace}/${target}`} />
          {remediation.container && (
            <>
              , container <Untrusted text={remediation.container} />
            </>
          )}
        </span>
        {pods !== undefined && <span className="text-soft">{plural(pods, "pod")}</span>}
      </div>
      {decision === "approve" && (
        <>
          <p className="text-soft">{actionDoes(remediation.action)}</p>
          <ChangeList list={changes(remediation)} />
        </>
      )}
      {typing && (
        <div className="flex flex-col gap-1">
          <p className="flex gap-2 rounded-md bg-warning-fill px-3 py-2 text-warning">
            <WarningIcon className="mt-0.5 size-4" />
            <span>{riskText(remediation)}</span>
          </p>
          <label htmlFor={`${id}-typed`}>
            Type <strong className="font-mono">{visible(target)}</strong> to confirm
          </label>
          <input
            id={`${id}-typed`}
            className="field font-mono"
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            value={typed}
            onChange={(change) => setTyped(change.target.value)}
          />
        </div>
      )}
      <div className="flex flex-col gap-1">
        <label htmlFor={`${id}-reason`}>Reason, for the audit{hint}</label>
        <textarea
          id={`${id}-reason`}
          className="field"
          rows={2}
          maxLength={250}
          readOnly={sent || busy}
          value={reason}
          onChange={(change) => setReason(change.target.value)}
        />
      </div>
      <div className="flex flex-wrap justify-end gap-2">
        <button type="button" className="field" onClick={close}>
          Back
        </button>
        <button
          type="submit"
          className={decision === "approve" ? "button-main" : "button-grave"}
          disabled={!ready}
        >
          {busy ? "Sending" : buttons[decision]}
        </button>
      </div>
    </form>
  );
}

function riskText({ riskReasons }: Remediation): string {
  return riskReasons.length > 0
    ? visible(riskReasons.slice(0, 3).join("; "))
    : "This may disrupt the workload.";
}
