import { NotCounted } from "./not-counted";
import { useWaiting } from "./use-waiting";

// How many decisions wait, beside the link to them.
export function WaitingBadge() {
  const { count, known } = useWaiting();
  if (!known) return <NotCounted />;
  if (!count) return null;
  return (
    <span className="ms-auto rounded-full bg-warning-fill px-1.5 text-xs font-medium text-warning tabular-nums">
      {count}
      <span className="sr-only"> waiting</span>
    </span>
  );
}
