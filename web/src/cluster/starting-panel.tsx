import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ComponentHealth } from "@rightsizer/api/cluster";
import { span } from "../format/time";
import { Untrusted } from "../ui/untrusted";
import { useNow } from "../ui/use-now";
import { ViewTitle } from "../ui/view-title";
import { HealthList } from "./health-list";
import { progressIn } from "./progress";

interface Props {
  part: ComponentHealth;
  components: readonly ComponentHealth[];
}

// What there is to see while the operator has no full picture yet.
export function StartingPanel({ part, components }: Props) {
  const now = useNow(1000);
  const share = progressIn(part.reason);
  return (
    <section className="panel m-auto w-full max-w-2xl p-5">
      <ViewTitle title="Starting">Right-Sizer is starting</ViewTitle>
      <p className="mt-2 text-base break-words" role="status">
        {part.reason ? <Untrusted text={part.reason} /> : `Waiting for ${part.component}`}
      </p>
      <div
        role="progressbar"
        aria-label="Progress of the start"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={share === undefined ? undefined : Math.round(share * 100)}
        className="mt-4 h-2 overflow-hidden rounded-full bg-raised"
      >
        <div
          className={`h-full rounded-full bg-accent transition-[width] duration-700 ${share === undefined ? "sweep w-1/3" : ""}`}
          style={share === undefined ? undefined : { width: `${Math.max(2, share * 100)}%` }}
        />
      </div>
      <p className="mt-2 text-soft">
        {part.since && `For ${span(now - timestampMs(part.since))} so far. `}
        The page goes on by itself.
      </p>
      <div className="mt-4 border-t border-line pt-3">
        <HealthList components={components.filter((other) => other !== part)} />
      </div>
    </section>
  );
}
