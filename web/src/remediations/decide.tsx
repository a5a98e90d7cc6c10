import type { Remediation } from "@rightsizer/api/remediation";
import { useRef, useState } from "react";
import { flushSync } from "react-dom";
import { explainOnce, isUnsure } from "../api/failure";
import { FailureNotice } from "../ui/failure-notice";
import { Modal } from "../ui/modal";
import { type Decision, DecisionForm } from "./decision-form";
import { DryRunAgain } from "./dry-run";
import { mayCancel, mayDecide, mayRollBack } from "./states";
import { useDecide } from "./use-decide";
import { useRemediationChanged } from "./use-remediation-changed";

interface Props {
  remediation: Remediation;
  pods: number | undefined; // of the workload, where known
}

const titles: Record<Decision, string> = {
  approve: "Approve",
  reject: "Reject",
  cancel: "Cancel",
  rollback: "Roll back",
};

// What a person may do about it now.
export function Decide({ remediation, pods }: Props) {
  const [decision, setDecision] = useState<Decision>();
  const region = useRef<HTMLElement>(null);
  const may: Decision[] = [
    ...(mayDecide(remediation) ? (["approve", "reject"] as const) : []),
    ...(mayCancel(remediation) ? (["cancel"] as const) : []),
    ...(mayRollBack(remediation) ? (["rollback"] as const) : []),
  ];
  return (
    <section
      ref={region}
      aria-label="Decisions"
      tabIndex={-1}
      className="flex flex-wrap items-center gap-2 rounded-b-lg border-t border-line p-3"
    >
      {may.map((one) => (
        <button
          key={one}
          type="button"
          className={
            one === "approve" ? "button-main" : one === "cancel" ? "field" : "button-grave"
          }
          onClick={() => setDecision(one)}
        >
          {titles[one]}
        </button>
      ))}
      <DryRunAgain remediation={remediation} />
      {decision && (
        <DecisionDialog
          decision={decision}
          remediation={remediation}
          pods={pods}
          close={() => setDecision(undefined)}
          decided={() => region.current?.focus()}
        />
      )}
    </section>
  );
}

interface DialogProps extends Props {
  decision: Decision;
  close: () => void;
  decided: () => void; // after it has closed: the button it came from may be gone
}

function DecisionDialog({ decision, remediation, pods, close, decided }: DialogProps) {
  const changed = useRemediationChanged();
  // What was looked at as the dialog opened is what is decided on.
  const [seen] = useState(remediation);
  const mutation = useDecide(decision, seen);
  // Tried again it is done once, if it is the same to the letter.
  const [sent, setSent] = useState(false);

  async function send(reason: string) {
    await mutation.mutateAsync(reason).then(
      () => {
        flushSync(close);
        decided();
      },
      (fault) => isUnsure(fault) && setSent(true), // shown below
    );
    changed();
  }

  return (
    <Modal title={`${titles[decision]} this remediation`} close={close}>
      {mutation.error && <FailureNotice failure={explainOnce(mutation.error, { keyed: true })} />}
      <DecisionForm
        decision={decision}
        remediation={seen}
        pods={pods}
        busy={mutation.isPending}
        sent={sent}
        send={(reason) => void send(reason)}
        close={close}
      />
    </Modal>
  );
}
