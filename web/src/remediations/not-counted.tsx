import { useEffect } from "react";

const every = 15_000;

// In the place of how many decisions wait, where that is not known: nothing there would
// say that none does. What counts them may be tried for `again`, by itself.
export function NotCounted({ again }: { again?: () => void }) {
  useEffect(() => {
    if (!again) return;
    const timer = setInterval(again, every);
    return () => clearInterval(timer);
  }, [again]);
  return (
    <span className="ms-auto px-1.5 text-xs text-soft">
      <span aria-hidden="true">?</span>
      <span className="sr-only"> how many wait is not known</span>
    </span>
  );
}
