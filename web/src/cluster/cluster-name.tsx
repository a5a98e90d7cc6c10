import { Untrusted } from "../ui/untrusted";
import { useCluster } from "./use-cluster";

// Which cluster the page is about, in every view.
export function ClusterName() {
  const cluster = useCluster().data?.cluster;
  if (!cluster) return null;
  return (
    <p className="flex min-w-0 items-center gap-2">
      <span className="sr-only">Cluster</span>
      <Untrusted text={cluster.name || cluster.id} className="truncate font-medium" />
      {cluster.environment && (
        <Untrusted
          text={cluster.environment}
          className="rounded bg-raised px-1.5 py-0.5 text-xs text-soft max-sm:hidden"
        />
      )}
    </p>
  );
}
