import type { Incident } from "@rightsizer/api/incident";
import { visible } from "../format/visible";

// "node_down" as a person says it.
export function ruleName(rule: string): string {
  if (rule === "") return "One problem";
  const words = visible(rule).replaceAll("_", " ").replaceAll("oom", "OOM");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

// Where it happens: the namespaces of its members, the first few.
export function scopeOf({ members }: Incident): string {
  const names = [...new Set(members.map(({ namespace }) => namespace).filter(Boolean))];
  if (names.length === 0) return "cluster";
  return names.length <= 2 ? names.join(", ") : `${names.length} namespaces`;
}

// The workloads of its members, each once, as the API's filters take them.
export function workloadsOf({ members }: Incident): string[] {
  const names = members.flatMap(({ workload }) =>
    workload ? [`${workload.kind}/${workload.name}`] : [],
  );
  return [...new Set(names)];
}

export function namespacesOf({ members }: Incident): string[] {
  return [...new Set(members.map(({ namespace }) => namespace).filter(Boolean))];
}

// nodesOf are the nodes among its members: a filter by namespace leaves out what
// happens to them.
export function nodesOf({ members }: Incident): string[] {
  return members.flatMap(({ namespace, object }) =>
    namespace === "" && object?.kind === "Node" ? [object.name] : [],
  );
}
