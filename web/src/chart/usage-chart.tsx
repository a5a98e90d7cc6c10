import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { hourMinute } from "../format/time";
import { useWidth } from "../ui/use-width";
import { colourOf, useThemeInForce } from "./colours";
import { type Mark, marksPlugin } from "./marks";
import type { Line } from "./table";

interface Props {
  label: string;
  lines: readonly Line[];
  data: uPlot.AlignedData; // seconds, then one column a line
  marks: readonly Mark[];
  from: number; // ms
  to: number;
  show: (value: number) => string;
  steps: number[]; // distances of grid lines that read well in the unit
}

const height = 190;
// The plots of a page share their time axis: each has the same margins.
export const axisWidth = 72;
export const rightMargin = 20;

// One plot over time. What it says stands in the figures beside it as well: a
// canvas tells a screen reader nothing.
export function UsageChart({ label, lines, data, marks, from, to, show, steps }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const width = useWidth(box);
  const theme = useThemeInForce();
  const latest = useRef(marks);
  latest.current = marks;
  const shape = lines.map(({ name }) => name).join();

  // biome-ignore lint/correctness/useExhaustiveDependencies: drawn anew for a theme or other lines; data and width are set below
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const soft = colourOf("soft");
    const grid = { stroke: colourOf("line"), width: 1 };
    const axis = { stroke: soft, grid, ticks: grid, font: "11px ui-sans-serif, system-ui" };
    const made = new uPlot(
      {
        width: element.clientWidth || 600,
        height,
        padding: [8, rightMargin, 0, 0],
        legend: { show: false },
        cursor: { sync: { key: "usage" }, drag: { x: false, y: false }, points: { size: 6 } },
        scales: { x: { time: true }, y: { range: (_, __, max) => [0, (max || 1) * 1.08] } },
        axes: [
          { ...axis, space: 90, values: (_, ticks) => ticks.map((at) => hourMinute(at * 1000)) },
          { ...axis, size: axisWidth, incrs: steps, values: (_, ticks) => ticks.map(show) },
        ],
        series: [
          {},
          ...lines.map(({ name, token, dash, width: stroke, fill }) => ({
            label: name,
            stroke: colourOf(token),
            width: stroke,
            points: { show: false },
            ...(dash && { dash: [...dash] }),
            ...(fill && { fill: withAlpha(colourOf(token), 0.12) }),
          })),
        ],
        plugins: [marksPlugin(() => latest.current)],
      },
      [[], ...lines.map(() => [])] as uPlot.AlignedData,
      element,
    );
    plot.current = made;
    return () => {
      made.destroy();
      plot.current = undefined;
    };
  }, [theme, shape]);

  useEffect(() => {
    if (width > 0) plot.current?.setSize({ width, height });
  }, [width]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new plot, and new marks, need drawing too
  useEffect(() => {
    const made = plot.current;
    made?.batch(() => {
      made.setData(data, false);
      made.setScale("x", { min: from / 1000, max: to / 1000 });
    });
  }, [data, from, to, marks, theme, shape]);

  return (
    <div ref={box} role="img" aria-label={label} className="w-full min-w-0" style={{ height }} />
  );
}

function withAlpha(colour: string, alpha: number): string {
  return colour.replace(/^rgb\((.+)\)$/, `rgba($1, ${alpha})`);
}
