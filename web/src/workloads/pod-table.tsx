import type { WorkloadPod } from "@rightsizer/api/workload";
import { useState } from "react";
import { count } from "../format/quantity";
import { type Column, DataTable } from "../ui/data-table";
import { Empty } from "../ui/empty";
import { Untrusted } from "../ui/untrusted";
import { When } from "../ui/when";

const columns: Column<WorkloadPod>[] = [
  {
    name: "Pod",
    head: "Pod",
    cell: ({ name }) => <Untrusted text={name} className="font-medium" />,
  },
  {
    name: "Phase",
    head: "Phase",
    cell: ({ phase, ready }) => (
      <>
        <Untrusted text={phase} />
        {phase === "Running" && !ready && <span className="text-warning">, not ready</span>}
      </>
    ),
  },
  {
    name: "Node",
    head: "Node",
    cell: ({ node }) => (node ? <Untrusted text={node} /> : "not bound"),
  },
  { name: "Restarts", head: "Restarts", number: true, cell: ({ restarts }) => count(restarts) },
  { name: "QoS", head: "QoS", cell: ({ qosClass }) => <Untrusted text={qosClass} /> },
  { name: "Created", head: "Created", cell: ({ createTime }) => <When time={createTime} /> },
];

// A workload may have a thousand pods; most readers want the first few.
const first = 50;

export function PodTable({ pods }: { pods: readonly WorkloadPod[] }) {
  const [all, setAll] = useState(false);
  return (
    <>
      <h2 className="font-semibold">Pods ({count(pods.length)})</h2>
      {pods.length === 0 ? (
        <Empty title="No pods">It is scaled to zero, done, or could not create any.</Empty>
      ) : (
        <DataTable
          label="Pods"
          columns={columns}
          rows={all ? pods : pods.slice(0, first)}
          rowKey={({ uid, name }) => uid || name}
        />
      )}
      {!all && pods.length > first && (
        <button type="button" className="field self-start" onClick={() => setAll(true)}>
          Show all {count(pods.length)} pods
        </button>
      )}
    </>
  );
}
