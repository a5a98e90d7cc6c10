import type { RemediationAction } from "@rightsizer/api/remediation";
import { Field } from "../feed/field";
import { visible } from "../format/visible";
import { ArrowIcon } from "../ui/icons";
import { Untrusted } from "../ui/untrusted";
import type { Change } from "./changes";

interface Kind {
  name: string;
  does: string; // for whoever decides on it
}

const kinds: Record<string, Kind> = {
  restart_pod: {
    name: "Restart the pod",
    does: "Evicts one pod, as far as its PodDisruptionBudget allows; its controller makes another.",
  },
  rollout_restart: {
    name: "Restart by rollout",
    does: "Replaces all pods, by the workload's own rollout strategy.",
  },
  resize_in_place: {
    name: "Resize in place",
    does: "Changes the size of the pods that run. The template stays as it is.",
  },
  resize_template: {
    name: "Resize by template",
    does: "Changes the template: a rollout replaces all pods.",
  },
  scale: { name: "Scale", does: "Changes how many pods the workload has." },
  export: {
    name: "Export the patch",
    does: "Changes nothing in the cluster: the patch is for whoever owns the manifest.",
  },
  webhook: {
    name: "Call the webhook",
    does: "Calls an endpoint outside, at least once, with the name of this remediation as the key that makes repeats harmless.",
  },
};

export function actionName(action: RemediationAction | undefined): string {
  return kinds[action?.kind ?? ""]?.name ?? visible(action?.kind ?? "nothing");
}

export function actionDoes(action: RemediationAction | undefined): string {
  return (
    kinds[action?.kind ?? ""]?.does ?? "An action of this installation; the page knows no more."
  );
}

// What a plan filled in: which pod, which autoscaler, which endpoint.
export function Parameters({ action }: { action: RemediationAction | undefined }) {
  const list = Object.entries(action?.parameters ?? {}).sort();
  if (list.length === 0) return null;
  return (
    <dl className="grid gap-x-3 sm:grid-cols-[8.5rem_1fr] sm:gap-y-1">
      {list.map(([name, value]) => (
        <Field key={name} name={name}>
          <Untrusted text={value} className="font-mono text-xs break-all" />
        </Field>
      ))}
    </dl>
  );
}

export function ChangeList({ list }: { list: readonly Change[] }) {
  if (list.length === 0) return null;
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
