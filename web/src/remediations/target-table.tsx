import type { Remediation, RemediationTarget } from "@rightsizer/api/remediation";
import { Badge, type Tone } from "../ui/badge";
import { Card } from "../ui/card";
import { type Column, DataTable } from "../ui/data-table";
import { Untrusted } from "../ui/untrusted";
import { When } from "../ui/when";

// As RemediationTarget.result has them.
const tones: Record<string, Tone> = {
  Intended: "info",
  Applied: "info",
  Confirmed: "good",
  Failed: "error",
  Reverted: "warning",
};

const columns: Column<RemediationTarget>[] = [
  {
    name: "Result",
    head: "Result",
    cell: ({ result }) => (
      <Badge tone={tones[result] ?? "plain"}>
        <Untrusted text={result || "not yet"} />
      </Badge>
    ),
  },
  { name: "When", head: "When", cell: ({ updateTime }) => <When time={updateTime} /> },
  { name: "Why", head: "Why", wrap: true, cell: ({ message }) => <Untrusted text={message} /> },
];

export function TargetTable({ remediation }: { remediation: Remediation }) {
  const { targets, workload, action } = remediation;
  if (targets.length === 0) return null;
  const pods = targets.every(({ pod }) => pod !== "");
  const title = pods ? "What was done to each pod" : "What was done";
  // What is written to without a pod: the workload, or what decides on its replicas.
  const other = action?.parameters.autoscaler
    ? `HorizontalPodAutoscaler/${action.parameters.autoscaler}`
    : `${workload?.kind}/${workload?.name}`;
  const target: Column<RemediationTarget> = {
    name: "To",
    head: pods ? "Pod" : "To",
    cell: ({ pod }) => <Untrusted text={pod || other} />,
  };
  return (
    <Card title={title}>
      <DataTable
        bare
        label="Effects"
        columns={[target, ...columns]}
        rows={targets}
        rowKey={({ uid, pod }) => uid || pod}
      />
    </Card>
  );
}
