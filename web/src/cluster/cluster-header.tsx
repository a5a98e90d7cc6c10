import { HealthState } from "@rightsizer/api/cluster";
import { memo } from "react";
import { explain } from "../api/failure";
import { count, plural } from "../format/quantity";
import { Fact } from "../ui/fact";
import { NotUpToDate } from "../ui/not-up-to-date";
import { Untrusted } from "../ui/untrusted";
import { When } from "../ui/when";
import { Capacity } from "./capacity";
import { HealthList, HealthMark } from "./health-list";
import { useCluster } from "./use-cluster";
import { useHealth } from "./use-health";

// The cluster at a glance.
export const ClusterHeader = memo(function ClusterHeader() {
  const { data, error } = useCluster();
  const { answer } = useHealth();
  const cluster = data?.cluster;
  if (!cluster)
    return (
      <p className="panel px-3 py-2 text-soft" role="status">
        {error
          ? `The cluster's figures are not shown: ${explain(error).title}.`
          : "Loading the cluster"}
      </p>
    );
  return (
    <section aria-label="Cluster" className="panel px-3 py-2">
      <NotUpToDate error={error} />
      <div className="flex flex-wrap items-center gap-x-6 gap-y-2">
        <dl className="flex flex-wrap gap-x-5 gap-y-1">
          <Fact name="Nodes ready">
            {count(cluster.readyNodes)} of {count(cluster.nodes)}
          </Fact>
          <Fact name="Pods running">
            {count(cluster.runningPods)} of {count(cluster.pods)}
          </Fact>
          <Fact name="Problems open">{count(cluster.openProblems)}</Fact>
          <Fact name="Kubernetes">
            <Untrusted text={cluster.version} />
            {cluster.provider && (
              <>
                {" on "}
                <Untrusted text={cluster.provider} />
              </>
            )}
          </Fact>
        </dl>
        <Capacity capacity={cluster.capacity} requested={cluster.requested} used={cluster.used} />
      </div>
      <details className="mt-1.5">
        <summary className="text-soft">
          {answer ? (
            <>
              Operator <HealthMark state={answer.state} /> {trouble(answer.components)}
            </>
          ) : (
            "About this cluster"
          )}
        </summary>
        <dl className="mt-2 flex flex-wrap gap-x-5 gap-y-1">
          <Fact name="Id">
            <Untrusted text={cluster.id} className="font-mono text-xs break-all" />
          </Fact>
          <Fact name="Operator">
            <Untrusted text={cluster.operatorVersion} />
          </Fact>
          {cluster.syncedTime && (
            <Fact name="In sync since">
              <When time={cluster.syncedTime} />
            </Fact>
          )}
        </dl>
        {answer && (
          <div className="mt-2 border-t border-line pt-2">
            <HealthList components={answer.components} />
          </div>
        )}
      </details>
    </section>
  );
});

function trouble(components: readonly { state: HealthState }[]): string {
  const others = components.filter(({ state }) => state !== HealthState.OK).length;
  const all = plural(components.length, "part");
  return others === 0 ? `in all ${all}` : `: ${others} of ${all} not OK`;
}
