import { Severity } from "@rightsizer/api/severity";
import { useEffect, useRef, useState } from "react";
import { plural } from "../format/quantity";
import type { FeedState } from "./feed-state";
import { matching } from "./matching";

// A screen reader hears a sum this often at most, and nothing while nothing
// comes.
const every = 15_000;
// The same sum twice is news only where something stood between.
const pause = 200;

interface Props {
  state: FeedState;
  text: string; // of the filter that rows go through
}

export function Announcer({ state, text }: Props) {
  const [said, setSaid] = useState("");
  const latest = useRef({ state, text });
  latest.current = { state, text };
  const told = useRef(state.received);
  // A changed filter starts the count anew.
  told.current = Math.min(told.current, state.received);

  useEffect(() => {
    let next: ReturnType<typeof setTimeout> | undefined;
    const timer = setInterval(() => {
      const { state, text } = latest.current;
      if (state.paused) return; // what is held is told once it shows
      const sum = summary(state.received - told.current, state.rows, text);
      told.current = state.received;
      if (sum === "") return;
      setSaid("");
      next = setTimeout(() => setSaid(sum), pause);
    }, every);
    return () => {
      clearInterval(timer);
      clearTimeout(next);
    };
  }, []);

  return (
    <p role="status" className="sr-only">
      {said}
    </p>
  );
}

function summary(fresh: number, rows: FeedState["rows"], text: string): string {
  if (fresh === 0) return "";
  const held = rows.filter(({ event }) => event).slice(-fresh);
  const shown = matching(held, text);
  // Without a text also those are counted that are beyond the cap by now.
  const count = text === "" ? fresh : shown.length;
  if (count === 0) return "";
  const least = text !== "" && held.length < fresh ? "at least " : "";
  const critical = shown.filter(({ event }) => event && event.severity >= Severity.CRITICAL).length;
  return `${least}${plural(count, "new event")}${critical > 0 ? `, ${critical} critical` : ""}`;
}
