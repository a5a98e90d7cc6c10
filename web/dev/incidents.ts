import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Phase } from "@rightsizer/api/event";
import { type Incident, IncidentSchema, IncidentState } from "@rightsizer/api/incident";
import { Severity } from "@rightsizer/api/severity";
import { hex } from "../src/feed/samples";
import { workloads } from "./workloads";

const rules = [
  ["node_down", "node.not_ready", "Node node-07 went down; 14 pods on it stopped answering"],
  [
    "oom_storm",
    "pod.oom_killed",
    "A rollout of checkout-api raised its memory beyond the limit in all 9 replicas",
  ],
  [
    "quota",
    "quota.exceeded",
    "Quota compute-resources of namespace ml is used up: new pods are refused",
  ],
  [
    "image",
    "pod.image_pull",
    "Image registry.example.com/team/cart:2.14 cannot be pulled anywhere",
  ],
  [
    "memory_pressure",
    "node.memory_pressure",
    "Node node-05 is under memory pressure; it evicts pods",
  ],
] as const;

function invent(number: number): Incident {
  const [rule, type, summary] = rules[number % rules.length] ?? rules[0];
  const opened = Date.now() - (number + 1) * 47 * 60_000;
  const open = number < 9;
  const count = 2 + ((number * 5) % 14);
  const problem = (member: number) => hex(1000 + number * 100 + member);
  return create(IncidentSchema, {
    id: hex(500 + number),
    state: open ? IncidentState.OPEN : IncidentState.RESOLVED,
    severity:
      number % 3 === 0 ? Severity.CRITICAL : number % 3 === 1 ? Severity.ERROR : Severity.WARNING,
    rule,
    summary,
    confidence: 0.95 - (number % 5) * 0.12,
    rootProblemId: problem(0),
    memberCount: count,
    members: Array.from({ length: count }, (_, member) => {
      const workload = workloads[(number * 31 + member * 17) % workloads.length];
      const node = member === 0 && rule.includes("node");
      return {
        problemId: problem(member),
        type: member === 0 ? type : member % 2 ? "pod.crash_loop" : "pod.oom_killed",
        severity: member === 0 ? Severity.CRITICAL : member % 3 ? Severity.ERROR : Severity.WARNING,
        namespace: node ? "" : (workload?.namespace ?? ""),
        object: node
          ? { kind: "Node", name: "node-07" }
          : { kind: "Pod", name: `${workload?.ref?.name}-7c9d-${member}` },
        ...(!node &&
          workload?.ref && { workload: { kind: workload.ref.kind, name: workload.ref.name } }),
        phase: open ? Phase.OPENED : Phase.RESOLVED,
        openedTime: timestampFromMs(opened + member * 70_000),
        message: member === 0 ? summary : "container app keeps failing: 6 restarts",
      };
    }),
    openedTime: timestampFromMs(opened),
    updatedTime: timestampFromMs(opened + 600_000),
    ...(!open && { resolvedTime: timestampFromMs(opened + 1_500_000) }),
  });
}

let made: Incident[] | undefined;
export function incidents(): Incident[] {
  made ??= Array.from({ length: 64 }, (_, number) => invent(number));
  return made;
}

export const connections = Array.from({ length: 7 }, (_, number) => ({
  id: String(number + 1),
  protocol: ["connect", "grpc", "websocket", "grpc-web"][number % 4] ?? "connect",
  peer: `10.42.${number}.17:5${number}122`,
  identity:
    ["ana@example.com", "system:serviceaccount:monitoring:events", "", "ben@example.com"][
      number % 4
    ] ?? "",
  openedTime: timestampFromMs(Date.now() - 900_000 * (number + 1)),
  sent: BigInt(182_004 * (number + 1)),
  lost: number === 4 ? 1204n : 0n,
  bytes: BigInt(91_000_000 * (number + 1)),
  lag: number === 4 ? 3120n : 0n,
  ...(number === 4 && { lagTime: durationFromMs(2300) }),
}));
