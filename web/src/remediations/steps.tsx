import { RemediationState as State } from "@rightsizer/api/remediation";
import { path, stateName } from "./states";

// Where on its way it is. An end that is not the good one ends the line.
export function Steps({ state }: { state: State }) {
  const at = path.indexOf(state);
  const over = at === -1;
  const steps: State[] = over
    ? [...path.slice(0, reached(state)), state]
    : [...path, State.SUCCEEDED];
  const current = over ? steps.length - 1 : at;
  return (
    <ol aria-label="Progress" className="flex flex-wrap gap-x-1 gap-y-2 text-xs">
      {steps.map((step, index) => (
        <li
          key={step}
          aria-current={index === current ? "step" : undefined}
          className={`flex items-center gap-1.5 ${index > current ? "text-soft" : index === current ? "font-semibold" : ""}`}
        >
          {index > 0 && (
            <span
              aria-hidden="true"
              className={`h-px w-5 ${index <= current ? "bg-accent" : "bg-edge"}`}
            />
          )}
          <span
            aria-hidden="true"
            className={`grid size-4 place-items-center rounded-full border ${index <= current ? "border-accent bg-accent text-on-accent" : "border-edge"}`}
          >
            {index < current || (over && state === State.SUCCEEDED) ? "✓" : ""}
          </span>
          {stateName(step)}
        </li>
      ))}
    </ol>
  );
}

// How much of the way lies behind each end.
function reached(end: State): number {
  switch (end) {
    case State.REJECTED:
    case State.EXPIRED:
    case State.CANCELLED:
      return 2;
    case State.DRY_RUN:
      return 1;
    case State.ABORTED:
    case State.FAILED:
      return 4;
    default:
      return path.length;
  }
}
