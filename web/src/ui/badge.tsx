import type { ReactNode } from "react";

export type Tone = "plain" | "good" | "info" | "warning" | "error";

const tones: Record<Tone, string> = {
  plain: "bg-raised text-soft",
  good: "bg-good-fill text-good",
  info: "bg-info-fill text-info",
  warning: "bg-warning-fill text-warning",
  error: "bg-error-fill text-error",
};

// A word that stands for a state. The word says it; the colour repeats it.
export function Badge({ tone = "plain", children }: { tone?: Tone; children: ReactNode }) {
  return (
    <span
      className={`inline-flex items-center gap-1 rounded px-1.5 py-px align-middle text-xs font-medium whitespace-nowrap ${tones[tone]}`}
    >
      {children}
    </span>
  );
}
