import { type MarkKind, markKinds } from "../chart/marks";
import { isPending, type Part } from "../ui/part";
import type { Happening } from "./happening";

const colours = {
  oom: "text-error",
  deploy: "text-info",
  resize: "text-good",
  action: "text-accent",
};

interface Props {
  happenings: readonly Happening[];
  events: Part;
  actions: Part;
}

// What the marks in the plots mean, and how many there are as far as is known.
export function Legend({ happenings, events, actions }: Props) {
  const kinds = Object.entries(markKinds) as [MarkKind, (typeof markKinds)[MarkKind]][];
  const figure = (kind: MarkKind) => {
    const part = kind === "action" ? actions : events;
    if (!part.known) return isPending(part) ? "…" : "not known";
    const found = happenings.filter((one) => one.kind === kind).length;
    return part.cut ? `${found} or more` : String(found);
  };
  return (
    <ul aria-label="Marks in the plots" className="flex flex-wrap gap-x-4 text-xs text-soft">
      {kinds.map(([kind, { name, sign }]) => (
        <li key={kind}>
          <span aria-hidden="true" className={colours[kind]}>
            {sign}
          </span>{" "}
          {name} ({figure(kind)})
        </li>
      ))}
    </ul>
  );
}
