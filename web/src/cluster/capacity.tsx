import type { Resources } from "@rightsizer/api/cluster";
import type { ReactNode } from "react";
import { bytes, cpu, percent } from "../format/quantity";

interface Props {
  capacity: Resources | undefined;
  requested: Resources | undefined;
  used: Resources | undefined;
}

// What there is, what is asked for, what is used.
export function Capacity({ capacity, requested, used }: Props) {
  return (
    <div className="grid min-w-60 flex-1 gap-x-6 gap-y-2 sm:grid-cols-2">
      <Amount
        name="CPU"
        show={cpu}
        of={capacity?.cpuMillis}
        requested={requested?.cpuMillis}
        used={used?.cpuMillis}
      />
      <Amount
        name="Memory"
        show={bytes}
        of={capacity?.memoryBytes}
        requested={requested?.memoryBytes}
        used={used?.memoryBytes}
      />
    </div>
  );
}

interface AmountProps {
  name: string;
  show: (amount: bigint) => string;
  of: bigint | undefined;
  requested: bigint | undefined;
  used: bigint | undefined;
}

function Amount({ name, show, of = 0n, requested = 0n, used }: AmountProps) {
  const asked = percent(requested, of);
  return (
    <div className="min-w-0">
      <p className="flex justify-between gap-2">
        <span className="font-medium">{name}</span>
        <span className="text-soft tabular-nums">{show(of)}</span>
      </p>
      {/* The sentence below says it all; the bars repeat it for the eye. */}
      <div aria-hidden="true" className="my-1 overflow-hidden rounded-sm bg-raised">
        <Bar className={asked > 100 ? "bg-error" : "bg-edge"} width={asked} />
        {used !== undefined && <Bar className="bg-accent" width={percent(used, of)} />}
      </div>
      <p className="flex flex-wrap gap-x-4 text-xs text-soft tabular-nums">
        <Key className={asked > 100 ? "bg-error" : "bg-edge"}>
          {show(requested)} requested, {asked} %
        </Key>
        {used !== undefined && (
          <Key className="bg-accent">
            {show(used)} used, {percent(used, of)} %
          </Key>
        )}
      </p>
    </div>
  );
}

// Which bar says this.
function Key({ className, children }: { className: string; children: ReactNode }) {
  return (
    <span className="flex items-center gap-1.5">
      <span aria-hidden="true" className={`size-2 rounded-xs ${className}`} />
      <span>{children}</span>
    </span>
  );
}

function Bar({ className, width }: { className: string; width: number }) {
  return <div className={`h-1.5 ${className}`} style={{ width: `${Math.min(100, width)}%` }} />;
}
