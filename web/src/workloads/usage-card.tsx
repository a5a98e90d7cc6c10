import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Workload } from "@rightsizer/api/workload";
import { useMemo } from "react";
import { Card } from "../ui/card";
import { Choice } from "../ui/choice";
import { Later, later } from "../ui/later";
import { useNow } from "../ui/use-now";
import { Happenings } from "./happenings";
import { Legend } from "./legend";
import { rangeMs, ranges, type UsageSearch } from "./usage-search";
import { useHappenings } from "./use-happenings";

// The plots are a chunk of their own, after the rest of the page.
const UsagePlot = later(() => import("./usage-plot"), "UsagePlot");

const step = 30_000;
const options = ranges.map((value) => ({ value, name: value }));

interface Props {
  workload: Workload;
  search: UsageSearch;
  set: (search: UsageSearch) => void;
}

// Use against request and limit, and on the same axis of time what happened and
// what was done.
export function UsageCard({ workload, search, set }: Props) {
  const { namespace, ref, containers } = workload;
  const kind = ref?.kind ?? "";
  const name = ref?.name ?? "";
  const range = search.range ?? "1h";
  const container = search.container ?? containers[0]?.name ?? "";
  const to = Math.floor(useNow(step) / step) * step + step;
  const from = to - rangeMs[range];
  const { happenings, events, actions } = useHappenings({ namespace, kind, name }, from);
  const marks = useMemo(
    () => happenings.flatMap(({ kind, time }) => (kind ? [{ kind, at: timestampMs(time) }] : [])),
    [happenings],
  );
  const of = { namespace, kind, name, container };

  return (
    <Card
      title="Usage"
      aside={
        <div className="flex flex-wrap items-center gap-2 py-0.5">
          {containers.length > 1 && (
            <Choice
              label="Container"
              options={containers.map(({ name }) => ({ value: name, name }))}
              value={container}
              onChange={(chosen) => {
                const { container: _, ...rest } = search;
                set(chosen === containers[0]?.name ? rest : { ...rest, container: chosen });
              }}
            />
          )}
          <Choice
            label="Period"
            options={options}
            value={range}
            onChange={(chosen) => {
              const { range: _, ...rest } = search;
              set(chosen === "1h" ? rest : { ...rest, range: chosen });
            }}
          />
        </div>
      }
    >
      <div className="flex flex-col gap-3 p-3">
        <Later fallback={<div className="h-[26rem]" />}>
          <UsagePlot resource="memory" of={of} from={from} to={to} marks={marks} />
          <UsagePlot resource="cpu" of={of} from={from} to={to} marks={marks} />
        </Later>
        <Legend happenings={happenings} events={events} actions={actions} />
      </div>
      <Happenings happenings={happenings} events={events} actions={actions} />
    </Card>
  );
}
