import { useWaiting } from "./use-waiting";

// How many decisions wait, beside the link to them.
export function WaitingBadge() {
  const waiting = useWaiting();
  if (!waiting) return null;
  return (
    <span className="ms-auto rounded-full bg-warning-fill px-1.5 text-xs font-medium text-warning tabular-nums">
      {waiting}
      <span className="sr-only"> waiting</span>
    </span>
  );
}
