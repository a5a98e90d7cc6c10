import type { Resources } from "@rightsizer/api/cluster";
import type { Workload } from "@rightsizer/api/workload";
import { bytes, count, cpu } from "../format/quantity";
import { Fact } from "../ui/fact";
import { When } from "../ui/when";

export function WorkloadFacts({ workload }: { workload: Workload }) {
  return (
    <dl className="panel flex flex-wrap gap-x-6 gap-y-2 px-3 py-2">
      <Fact name="Ready">
        {count(workload.readyReplicas)} of {count(workload.desiredReplicas || workload.pods)}
      </Fact>
      <Fact name="Restarts">{count(workload.restarts)}</Fact>
      <Fact name="Open problems">{count(workload.openProblems)}</Fact>
      <Fact name="Requested">{amount(workload.requested)}</Fact>
      <Fact name="Limits">{amount(workload.limits)}</Fact>
      <Fact name="Used">{workload.used ? amount(workload.used) : "not measured"}</Fact>
      <Fact name="Created">
        <When time={workload.createTime} />
      </Fact>
    </dl>
  );
}

// CPU and memory; what is 0 is not set.
export function amount(resources: Resources | undefined): string {
  const parts = [];
  if (resources?.cpuMillis) parts.push(cpu(resources.cpuMillis));
  if (resources?.memoryBytes) parts.push(bytes(resources.memoryBytes));
  return parts.length === 0 ? "none" : parts.join(", ");
}
