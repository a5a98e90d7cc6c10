import { explain } from "../api/failure";
import type { Mark } from "../chart/marks";
import { type Line, latest } from "../chart/table";
import { UsageChart } from "../chart/usage-chart";
import { bytes, cpu } from "../format/quantity";
import { type Of, type Resource, useUsage } from "./use-usage";

const drawn: readonly Line[] = [
  { name: "max", token: "edge", width: 1 },
  { name: "p95", token: "accent", width: 1.5, fill: true },
  { name: "p50", token: "accent", width: 1, dash: [2, 2] },
  { name: "request", token: "info", width: 1.5, dash: [8, 4] },
  { name: "limit", token: "error", width: 1.5, dash: [8, 4] },
];
const keys = ["bg-edge", "bg-accent", "bg-accent/50", "bg-info", "bg-error"];

// 1 KiB to 512 TiB by powers of two; 1 mCPU to 5,000 cores by 1, 2 and 5.
const binary = Array.from({ length: 40 }, (_, power) => 2 ** (power + 10));
const decimal = Array.from({ length: 7 }, (_, power) =>
  [1, 2, 5].map((n) => n * 10 ** power),
).flat();

const shows = {
  memory: {
    name: "Memory",
    steps: binary,
    show: (value: number) => bytes(BigInt(Math.round(value))),
  },
  cpu: { name: "CPU", steps: decimal, show: (value: number) => cpu(BigInt(Math.round(value))) },
};

interface Props {
  resource: Resource;
  of: Of;
  from: number;
  to: number;
  marks: readonly Mark[];
}

export function UsagePlot({ resource, of, from, to, marks }: Props) {
  const { lines, data, missing, error, loading } = useUsage(resource, of, from, to);
  const { name, show, steps } = shows[resource];
  const empty = data[0].length === 0;
  const figures = drawn.map((line, index) => {
    const value = latest(lines[index]);
    const none = missing[index] ? "not known" : "–";
    return { name: line.name, key: keys[index], text: value === undefined ? none : show(value) };
  });
  const spoken = figures.map(({ name, text }) => `${name} ${text}`).join(", ");
  return (
    <figure className="min-w-0">
      <figcaption className="flex flex-wrap items-baseline gap-x-4 gap-y-0.5">
        <span className="font-medium">{name}</span>
        {figures.map((figure) => (
          <span key={figure.name} className="flex items-center gap-1.5 text-xs tabular-nums">
            <span aria-hidden="true" className={`h-0.5 w-3 ${figure.key}`} />
            <span className="text-soft">{figure.name}</span> {figure.text}
          </span>
        ))}
      </figcaption>
      {empty ? (
        <p role="status" className="grid h-[190px] place-items-center text-center text-soft">
          {loading
            ? "Loading the usage"
            : error
              ? `${explain(error).title}. ${explain(error).advice}`
              : of.container === ""
                ? "It has no pods, and so no container that was measured."
                : "Nothing was measured in this time. A gap is not a zero."}
        </p>
      ) : (
        <UsageChart
          label={`${name} over time; latest: ${spoken}`}
          lines={drawn}
          data={data}
          marks={marks}
          from={from}
          to={to}
          show={show}
          steps={steps}
        />
      )}
    </figure>
  );
}
