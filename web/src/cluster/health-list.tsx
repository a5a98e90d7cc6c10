import { type ComponentHealth, HealthState } from "@rightsizer/api/cluster";
import { CheckIcon, ErrorIcon, InfoIcon, WaitIcon, WarningIcon } from "../ui/icons";
import { Untrusted } from "../ui/untrusted";
import { When } from "../ui/when";

const looks: Record<HealthState, { name: string; className: string; Icon: typeof InfoIcon }> = {
  [HealthState.UNSPECIFIED]: { name: "Unknown", className: "text-soft", Icon: InfoIcon },
  [HealthState.OK]: { name: "OK", className: "text-good", Icon: CheckIcon },
  [HealthState.STARTING]: { name: "Starting", className: "text-info", Icon: WaitIcon },
  [HealthState.DEGRADED]: { name: "Degraded", className: "text-warning", Icon: WarningIcon },
  [HealthState.DOWN]: { name: "Down", className: "text-error", Icon: ErrorIcon },
};

export function HealthMark({ state }: { state: HealthState }) {
  const { name, className, Icon } = looks[state] ?? looks[HealthState.UNSPECIFIED];
  return (
    <span className={`inline-flex items-center gap-1 align-middle font-medium ${className}`}>
      <Icon />
      {name}
    </span>
  );
}

// Each part of the operator: how it does, since when and why.
export function HealthList({ components }: { components: readonly ComponentHealth[] }) {
  return (
    <ul aria-label="Parts of the operator" className="flex flex-col gap-1">
      {components.map(({ component, state, since, reason }) => (
        <li key={component} className="grid grid-cols-[14rem_6rem_1fr] gap-x-3 max-sm:grid-cols-2">
          <span className="font-mono text-xs leading-5 break-words">{component}</span>
          <HealthMark state={state} />
          <span className="text-soft break-words max-sm:col-span-2">
            {reason && (
              <>
                <Untrusted text={reason} />,{" "}
              </>
            )}
            {since && (
              <>
                since <When time={since} />
              </>
            )}
          </span>
        </li>
      ))}
    </ul>
  );
}
