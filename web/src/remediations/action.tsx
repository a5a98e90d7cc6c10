import type { Resources } from "@rightsizer/api/cluster";
import type { RemediationAction } from "@rightsizer/api/remediation";
import type { Workload } from "@rightsizer/api/workload";
import { bytes, changePercent, count, cpu } from "../format/quantity";
import { visible } from "../format/visible";
import { ArrowIcon } from "../ui/icons";

const names: Record<string, string> = {
  restart_pod: "Restart the pod",
  rollout_restart: "Restart by rollout",
  resize_in_place: "Resize in place",
  resize_template: "Resize by template",
  scale: "Scale",
  export: "Export the patch",
  webhook: "Call the webhook",
};

export function actionName(action: RemediationAction | undefined): string {
  return names[action?.kind ?? ""] ?? visible(action?.kind ?? "nothing");
}

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

// changes compares what an action sets with what is in force. An amount of 0 is
// not set.
export function changes(action: RemediationAction | undefined, now: Sizes | undefined): Change[] {
  if (!action) return [];
  if (action.kind === "scale")
    return [{ name: "Replicas", from: "", to: count(action.replicas), percent: "" }];
  const rows: [string, keyof Sizes, "cpuMillis" | "memoryBytes", (amount: bigint) => string][] = [
    ["Memory request", "requests", "memoryBytes", bytes],
    ["Memory limit", "limits", "memoryBytes", bytes],
    ["CPU request", "requests", "cpuMillis", cpu],
    ["CPU limit", "limits", "cpuMillis", cpu],
  ];
  return rows.flatMap(([name, list, field, show]) => {
    const to = action[list]?.[field] ?? 0n;
    const from = now?.[list]?.[field];
    if (to === 0n) return [];
    return {
      name,
      from: from === undefined ? "" : from === 0n ? "none" : show(from),
      to: show(to),
      percent: from === undefined ? "" : changePercent(from, to),
    };
  });
}

export function sizesOf(workload: Workload | undefined, container: string): Sizes | undefined {
  return workload?.containers.find(({ name }) => name === container);
}

export function ChangeList({ list }: { list: readonly Change[] }) {
  return (
    <ul className="flex flex-col gap-1">
      {list.map(({ name, from, to, percent }) => (
        <li
          key={name}
          className="grid grid-cols-[8.5rem_1fr] items-baseline gap-x-3 max-sm:grid-cols-1"
        >
          <span className="text-soft">{name}</span>
          <span className="inline-flex flex-wrap items-center gap-x-2 tabular-nums">
            {from && (
              <>
                <span>{from}</span>
                <ArrowIcon className="size-3.5 text-soft" />
                <span className="sr-only">becomes</span>
              </>
            )}
            <strong className="font-semibold">{to}</strong>
            {percent && <span className="text-xs text-soft">{percent}</span>}
          </span>
        </li>
      ))}
    </ul>
  );
}
