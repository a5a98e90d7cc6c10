import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Series } from "@rightsizer/api/metrics_service";
import type uPlot from "uplot";
import type { Token } from "./colours";

export interface Line {
  name: string;
  token: Token;
  width: number;
  dash?: readonly number[];
  fill?: boolean;
}

// table puts lines of points on one axis of seconds. A line without a point at a
// time has a gap there: a gap is never a zero.
export function table(lines: readonly (Series | undefined)[]): uPlot.AlignedData {
  const times = new Set<number>();
  const columns = lines.map((line) => {
    const values = new Map<number, number>();
    for (const { time, value } of line?.points ?? []) {
      if (!time) continue;
      const seconds = Math.round(timestampMs(time) / 1000);
      values.set(seconds, value);
      times.add(seconds);
    }
    return values;
  });
  const axis = [...times].sort((a, b) => a - b);
  return [axis, ...columns.map((values) => axis.map((time) => values.get(time) ?? null))];
}

// The latest value of a line.
export function latest(line: Series | undefined): number | undefined {
  return line?.points.at(-1)?.value;
}
