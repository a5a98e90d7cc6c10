import type { Resources } from "@rightsizer/api/cluster";
import type { RemediationAction } from "@rightsizer/api/remediation";
import type { Workload } from "@rightsizer/api/workload";
import { bytes, bytesOf, changePercent, count, cpu, millisOf } from "../format/quantity";
import { visible } from "../format/visible";
import { valueBefore } from "./json-patch";

export interface Change {
  name: string;
  from: string; // empty where it is not known
  to: string;
  percent: string;
}

interface Sizes {
  requests?: Resources | undefined;
  limits?: Resources | undefined;
}

// What a remediation, a dry run of it or its record says of a change.
export interface Changing {
  action?: RemediationAction | undefined;
  diff: string;
}

// What is in force now: it stands for what the patch does not say of the time
// before, and so is only to be given while nothing was carried out.
export interface InForce {
  sizes?: Sizes | undefined;
  replicas?: number | undefined;
}

type Row = [
  name: string,
  list: keyof Sizes,
  field: "cpuMillis" | "memoryBytes",
  path: string,
  show: (amount: bigint) => string,
  read: (text: string) => bigint | undefined,
];

const rows: readonly Row[] = [
  ["Memory request", "requests", "memoryBytes", "requests/memory", bytes, bytesOf],
  ["Memory limit", "limits", "memoryBytes", "limits/memory", bytes, bytesOf],
  ["CPU request", "requests", "cpuMillis", "requests/cpu", cpu, millisOf],
  ["CPU limit", "limits", "cpuMillis", "limits/cpu", cpu, millisOf],
];

// changes is what an action sets, against what was there before. An amount of 0 is
// not set.
export function changes({ action, diff }: Changing, now: InForce = {}): Change[] {
  if (!action) return [];
  if (action.kind === "scale") return [replicas(action, diff, now)];
  return rows.flatMap(([name, list, field, path, show, read]) => {
    const to = action[list]?.[field] ?? 0n;
    if (to === 0n) return [];
    const before = valueBefore(diff, `/resources/${path}`);
    const from = typeof before === "string" ? read(before) : now.sizes?.[list]?.[field];
    return {
      name,
      from: from === undefined ? "" : from === 0n ? "none" : show(from),
      to: show(to),
      percent: from === undefined ? "" : changePercent(from, to),
    };
  });
}

// As a plan to scale writes its parameters: where an autoscaler decides on the
// replicas, one of its bounds is moved.
function replicas({ replicas: to, parameters }: RemediationAction, diff: string, now: InForce) {
  const { autoscaler, bound } = parameters;
  const before = valueBefore(diff, `/spec/${bound || "replicas"}`);
  const from = typeof before === "number" ? before : autoscaler ? undefined : now.replicas;
  const name = autoscaler
    ? `${bound === "maxReplicas" ? "Most" : "Least"} replicas, of autoscaler ${visible(autoscaler)}`
    : "Replicas";
  return {
    name,
    from: from === undefined ? "" : count(from),
    to: count(to),
    percent: "",
  };
}

export function inForce(workload: Workload | undefined, container: string): InForce {
  return {
    sizes: workload?.containers.find(({ name }) => name === container),
    replicas: workload?.desiredReplicas,
  };
}
