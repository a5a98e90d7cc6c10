import {
  type Remediation,
  RiskLevel,
  RemediationState as State,
} from "@rightsizer/api/remediation";
import { Badge, type Tone } from "../ui/badge";
import { CheckIcon, CriticalIcon, ErrorIcon, InfoIcon, WaitIcon, WarningIcon } from "../ui/icons";
import type { Show } from "./search";

interface Look {
  name: string;
  tone: Tone;
  Icon: typeof InfoIcon;
}

const states: Record<State, Look> = {
  [State.UNSPECIFIED]: { name: "Unknown", tone: "plain", Icon: InfoIcon },
  [State.PROPOSED]: { name: "Proposed", tone: "info", Icon: InfoIcon },
  [State.PENDING_APPROVAL]: { name: "Waiting", tone: "warning", Icon: WaitIcon },
  [State.APPROVED]: { name: "Approved", tone: "info", Icon: CheckIcon },
  [State.EXECUTING]: { name: "Executing", tone: "info", Icon: WaitIcon },
  [State.VERIFYING]: { name: "Verifying", tone: "info", Icon: WaitIcon },
  [State.SUCCEEDED]: { name: "Succeeded", tone: "good", Icon: CheckIcon },
  [State.ROLLED_BACK]: { name: "Rolled back", tone: "warning", Icon: WarningIcon },
  [State.ESCALATED]: { name: "Escalated", tone: "error", Icon: ErrorIcon },
  [State.REJECTED]: { name: "Rejected", tone: "plain", Icon: ErrorIcon },
  [State.EXPIRED]: { name: "Expired", tone: "plain", Icon: WaitIcon },
  [State.CANCELLED]: { name: "Cancelled", tone: "plain", Icon: ErrorIcon },
  [State.ABORTED]: { name: "Aborted", tone: "plain", Icon: WarningIcon },
  [State.FAILED]: { name: "Failed", tone: "error", Icon: ErrorIcon },
  [State.DRY_RUN]: { name: "Dry run", tone: "plain", Icon: InfoIcon },
};

export function stateName(state: State): string {
  return (states[state] ?? states[State.UNSPECIFIED]).name;
}

export function StateBadge({ state }: { state: State }) {
  const { name, tone, Icon } = states[state] ?? states[State.UNSPECIFIED];
  return (
    <Badge tone={tone}>
      <Icon className="size-3.5" />
      {name}
    </Badge>
  );
}

const risks: Record<RiskLevel, Look> = {
  [RiskLevel.UNSPECIFIED]: { name: "Not assessed", tone: "plain", Icon: InfoIcon },
  [RiskLevel.LOW]: { name: "Low risk", tone: "good", Icon: CheckIcon },
  [RiskLevel.MEDIUM]: { name: "Medium risk", tone: "info", Icon: InfoIcon },
  [RiskLevel.HIGH]: { name: "High risk", tone: "warning", Icon: WarningIcon },
  [RiskLevel.CRITICAL]: { name: "Critical risk", tone: "error", Icon: CriticalIcon },
};

export function RiskBadge({ risk }: { risk: RiskLevel }) {
  const { name, tone, Icon } = risks[risk] ?? risks[RiskLevel.UNSPECIFIED];
  return (
    <Badge tone={tone}>
      <Icon className="size-3.5" />
      {name}
    </Badge>
  );
}

// What each list of the inbox holds.
export const shows = {
  waiting: { name: "Waiting", states: [State.PENDING_APPROVAL] },
  running: {
    name: "Running",
    states: [State.PROPOSED, State.APPROVED, State.EXECUTING, State.VERIFYING],
  },
  done: {
    name: "Done",
    states: [
      State.SUCCEEDED,
      State.ROLLED_BACK,
      State.ESCALATED,
      State.REJECTED,
      State.EXPIRED,
      State.CANCELLED,
      State.ABORTED,
      State.FAILED,
      State.DRY_RUN,
    ],
  },
  all: { name: "All", states: [] },
} as const satisfies Record<Show, { name: string; states: readonly State[] }>;

// What may still be done to it. The server decides; this only spares the reader
// buttons that cannot work.
export function mayDecide({ state }: Remediation): boolean {
  return state === State.PENDING_APPROVAL;
}

export function mayCancel({ state }: Remediation): boolean {
  return state === State.PROPOSED || state === State.PENDING_APPROVAL || state === State.APPROVED;
}

export function mayRollBack({ state }: Remediation): boolean {
  return state === State.VERIFYING || state === State.SUCCEEDED || state === State.ESCALATED;
}

// A high risk is confirmed by typing the name of what it may hurt.
export function needsTyping({ risk }: Remediation): boolean {
  return risk >= RiskLevel.HIGH;
}

// The way of a remediation that goes well, for the line of steps.
export const path: readonly State[] = [
  State.PROPOSED,
  State.PENDING_APPROVAL,
  State.APPROVED,
  State.EXECUTING,
  State.VERIFYING,
];
