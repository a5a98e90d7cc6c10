import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { When } from "../ui/when";
import type { Bucket } from "./tally";

interface Props {
  buckets: readonly Bucket[];
  start: number;
  end: number;
  knownFrom: number; // before it there may have been more than the bars show
  label: string; // says what the bars show
}

const height = 80;

// Stacked bars, one a minute. A pattern as well as a colour tells the two apart; what
// is not known lies in the shade.
export function Histogram({ buckets, start, end, knownFrom, label }: Props) {
  const unknown = Math.min(1, Math.max(0, (knownFrom - start) / (end - start)));
  const most = Math.max(4, ...buckets.map(({ kills, loops }) => kills + loops));
  const scale = (count: number) => (count / most) * height;
  return (
    <div>
      <svg
        role="img"
        aria-label={label}
        viewBox={`0 0 ${buckets.length * 10} ${height}`}
        preserveAspectRatio="none"
        className="h-20 w-full"
      >
        <rect
          x="0"
          y="0"
          width={unknown * buckets.length * 10}
          height={height}
          className="fill-line/60"
        />
        <line x1="0" x2="100%" y1={height - 0.5} y2={height - 0.5} className="stroke-line" />
        {buckets.map(({ at, kills, loops }, index) => (
          <g key={at}>
            <rect
              x={index * 10 + 1}
              y={height - scale(kills)}
              width="8"
              height={scale(kills)}
              className="fill-error"
            />
            <rect
              x={index * 10 + 1}
              y={height - scale(kills + loops)}
              width="8"
              height={scale(loops)}
              className="fill-warning/40 stroke-warning"
              vectorEffect="non-scaling-stroke"
              strokeWidth={loops ? 1 : 0}
            />
          </g>
        ))}
      </svg>
      <p aria-hidden="true" className="flex justify-between text-xs text-soft tabular-nums">
        <When time={timestampFromMs(start)} />
        <span>up to {most} a minute</span>
        <When time={timestampFromMs(end)} />
      </p>
    </div>
  );
}
