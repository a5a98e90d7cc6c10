import type { RemediationTarget } from "@rightsizer/api/remediation";
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
  { name: "Pod", head: "Pod", cell: ({ pod }) => <Untrusted text={pod} /> },
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

export function TargetTable({ targets }: { targets: readonly RemediationTarget[] }) {
  if (targets.length === 0) return null;
  return (
    <Card title="What was done to each pod">
      <DataTable
        bare
        label="What was done to each pod"
        columns={columns}
        rows={targets}
        rowKey={({ uid, pod }) => uid || pod}
      />
    </Card>
  );
}
