import type uPlot from "uplot";
import { colourOf, type Token } from "./colours";

// Something that happened, as a line across a plot.
export interface Mark {
  at: number; // ms
  kind: MarkKind;
}

export const markKinds = {
  oom: { name: "OOM kill or crash", sign: "▼", token: "error", dash: [] },
  deploy: { name: "Deploy or scaling", sign: "◆", token: "info", dash: [6, 4] },
  resize: { name: "Resize", sign: "●", token: "good", dash: [2, 3] },
  action: { name: "Action of the operator", sign: "■", token: "accent", dash: [] },
} as const satisfies Record<string, { name: string; sign: string; token: Token; dash: number[] }>;
export type MarkKind = keyof typeof markKinds;

// marksPlugin draws marks over the lines, each with its sign on top.
export function marksPlugin(marks: () => readonly Mark[]): uPlot.Plugin {
  return {
    hooks: {
      draw: (plot) => {
        const { ctx, bbox } = plot;
        const ratio = window.devicePixelRatio;
        ctx.save();
        ctx.beginPath();
        ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
        ctx.clip();
        ctx.textAlign = "center";
        ctx.textBaseline = "top";
        ctx.font = `${10 * ratio}px ui-sans-serif, system-ui`;
        for (const { at, kind } of marks()) {
          const { sign, token, dash } = markKinds[kind];
          const x = Math.round(plot.valToPos(at / 1000, "x", true));
          ctx.strokeStyle = ctx.fillStyle = colourOf(token);
          ctx.lineWidth = ratio;
          ctx.setLineDash(dash.map((length) => length * ratio));
          ctx.beginPath();
          ctx.moveTo(x, bbox.top + 12 * ratio);
          ctx.lineTo(x, bbox.top + bbox.height);
          ctx.stroke();
          ctx.fillText(sign, x, bbox.top);
        }
        ctx.restore();
      },
    },
  };
}
