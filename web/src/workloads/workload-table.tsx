import type { Workload } from "@rightsizer/api/workload";
import { Link } from "@tanstack/react-router";
import { bytes, count, cpu } from "../format/quantity";
import { type Column, DataTable } from "../ui/data-table";
import { SeverityMark } from "../ui/severity";
import { Untrusted } from "../ui/untrusted";
import type { Order } from "./search";

interface Props {
  workloads: readonly Workload[];
  order: Order;
  sortBy: (order: Order) => void;
}

export function WorkloadTable({ workloads, order, sortBy }: Props) {
  // The server sorts names upwards and everything else from the largest.
  function sorted(name: string, by: Order): Pick<Column<Workload>, "name" | "head" | "sort"> {
    const active = order === by;
    const direction = by === "name" ? "ascending" : "descending";
    return {
      name,
      sort: active ? direction : undefined,
      head: (
        <button
          type="button"
          className="font-semibold underline decoration-dotted underline-offset-4 hover:text-ink"
          onClick={() => sortBy(by)}
        >
          {active && (
            <span aria-hidden="true" className="text-accent">
              {by === "name" ? "↑ " : "↓ "}
            </span>
          )}
          {name}
        </button>
      ),
    };
  }

  const columns: Column<Workload>[] = [
    { ...sorted("Workload", "name"), cell: (workload) => <WorkloadLink workload={workload} /> },
    { ...sorted("Open problems", "open_problems"), number: true, cell: problems },
    {
      ...sorted("Restarts", "restarts"),
      number: true,
      cell: (w) => (w.restarts === 0 ? none : count(w.restarts)),
    },
    { ...plain("Ready", ready), number: true },
    {
      ...sorted("CPU requested", "cpu_requested"),
      number: true,
      cell: (w) => cpu(w.requested?.cpuMillis ?? 0n),
    },
    {
      ...sorted("Memory requested", "memory_requested"),
      number: true,
      cell: (w) => bytes(w.requested?.memoryBytes ?? 0n),
    },
    { ...plain("Memory used", (w) => (w.used ? bytes(w.used.memoryBytes) : "–")), number: true },
  ];
  return <DataTable label="Workloads" columns={columns} rows={workloads} rowKey={keyOf} />;
}

// What is not there does not draw the eye.
const none = <span className="text-soft">0</span>;

function plain(name: string, cell: Column<Workload>["cell"]): Column<Workload> {
  return { name, head: name, cell };
}

function keyOf({ namespace, ref }: Workload): string {
  return `${namespace}/${ref?.kind}/${ref?.name}`;
}

function ready({ readyReplicas, desiredReplicas, pods }: Workload): string {
  return `${count(readyReplicas)} of ${count(desiredReplicas || pods)}`;
}

function problems({ openProblems, worstSeverity }: Workload) {
  if (openProblems === 0) return none;
  return (
    <>
      <SeverityMark severity={worstSeverity} /> {count(openProblems)}
    </>
  );
}

function WorkloadLink({ workload: { namespace, ref } }: { workload: Workload }) {
  return (
    <span className="flex flex-col">
      <Link
        to="/workloads/$namespace/$kind/$name"
        params={{ namespace, kind: ref?.kind ?? "", name: ref?.name ?? "" }}
        className="bare-link truncate font-medium"
      >
        <Untrusted text={ref?.name ?? ""} />
      </Link>
      <span className="truncate text-xs text-soft">
        <Untrusted text={ref?.kind ?? ""} /> in <Untrusted text={namespace} />
      </span>
    </span>
  );
}
