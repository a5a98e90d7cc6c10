import type { WorkloadContainer } from "@rightsizer/api/workload";
import { containerKinds } from "../feed/kind-details";
import { count } from "../format/quantity";
import { type Column, DataTable } from "../ui/data-table";
import { Untrusted } from "../ui/untrusted";
import { amount } from "./workload-facts";

const columns: Column<WorkloadContainer>[] = [
  {
    name: "Container",
    head: "Container",
    cell: ({ name }) => <Untrusted text={name} className="font-medium" />,
  },
  { name: "Kind", head: "Kind", cell: ({ kind }) => containerKinds[kind] },
  { name: "Requests", head: "Requests", cell: ({ requests }) => amount(requests) },
  { name: "Limits", head: "Limits", cell: ({ limits }) => amount(limits) },
  { name: "Restarts", head: "Restarts", number: true, cell: ({ restarts }) => count(restarts) },
  { name: "OOM kills", head: "OOM kills", number: true, cell: ({ oomKills }) => count(oomKills) },
  {
    name: "Image",
    head: "Image",
    cell: ({ image }) => <Untrusted text={image} className="font-mono text-xs" />,
  },
];

export function ContainerTable({ containers }: { containers: readonly WorkloadContainer[] }) {
  return (
    <>
      <h2 className="font-semibold">Containers of one pod</h2>
      <DataTable
        label="Containers"
        columns={columns}
        rows={containers}
        rowKey={({ kind, name }) => `${kind}/${name}`}
      />
    </>
  );
}
