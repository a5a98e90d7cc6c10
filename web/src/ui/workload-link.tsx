import { Link } from "@tanstack/react-router";
import { Untrusted } from "./untrusted";

interface Props {
  namespace: string;
  workload: { kind: string; name: string } | undefined;
  full?: boolean; // with the namespace before it
}

export function WorkloadLink({ namespace, workload, full = false }: Props) {
  if (!workload) return <span className="text-soft">none</span>;
  return (
    <Link
      to="/workloads/$namespace/$kind/$name"
      params={{ namespace, kind: workload.kind, name: workload.name }}
      className="bare-link font-medium break-words"
    >
      <Untrusted text={full ? `${namespace}/${workload.name}` : workload.name} />
    </Link>
  );
}
