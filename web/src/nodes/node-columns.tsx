import type { Node } from "@rightsizer/api/cluster";
import { bytes, count, cpu, partOf, percent } from "../format/quantity";
import type { Column } from "../ui/data-table";
import { CheckIcon, ErrorIcon } from "../ui/icons";
import { Untrusted } from "../ui/untrusted";

export const nodeColumns: Column<Node>[] = [
  {
    name: "Node",
    head: "Node",
    cell: ({ name, instanceType, zone }) => (
      <span className="flex flex-col">
        <Untrusted text={name} className="truncate font-medium" />
        <Untrusted
          text={[instanceType, zone].filter(Boolean).join(" in ")}
          className="truncate text-xs text-soft"
        />
      </span>
    ),
  },
  { name: "State", head: "State", cell: (node) => <NodeState node={node} /> },
  {
    name: "CPU requested",
    head: "CPU requested",
    number: true,
    cell: (node) => share(node.requested?.cpuMillis, node.allocatable?.cpuMillis, cpu),
  },
  {
    name: "Memory requested",
    head: "Memory requested",
    number: true,
    cell: (node) => share(node.requested?.memoryBytes, node.allocatable?.memoryBytes, bytes),
  },
  {
    name: "Memory used",
    head: "Memory used",
    number: true,
    cell: ({ used }) => (used ? bytes(used.memoryBytes) : "–"),
  },
  { name: "Pods", head: "Pods", number: true, cell: ({ pods }) => count(pods) },
  {
    name: "Open problems",
    head: "Problems",
    number: true,
    cell: ({ openProblems }) => count(openProblems),
  },
];

function share(part = 0n, whole = 0n, show: (amount: bigint) => string): string {
  return `${partOf(part, whole, show)}, ${percent(part, whole)} %`;
}

function NodeState({ node: { ready, unschedulable, pressures, kubeletVersion } }: { node: Node }) {
  const more = [...(unschedulable ? ["cordoned"] : []), ...pressures];
  return (
    <>
      <span
        className={`inline-flex items-center gap-1 align-middle ${ready ? "text-good" : "text-error"}`}
      >
        {ready ? <CheckIcon /> : <ErrorIcon />}
        {ready ? "Ready" : "Not ready"}
      </span>
      {more.length > 0 && (
        <span className="text-warning">
          , <Untrusted text={more.join(", ")} />
        </span>
      )}
      <span className="block text-xs text-soft">
        kubelet <Untrusted text={kubeletVersion} />
      </span>
    </>
  );
}
