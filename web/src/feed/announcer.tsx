import { Severity } from "@rightsizer/api/severity";
import { useEffect, useRef, useState } from "react";
import { plural } from "../format/quantity";
import type { FeedState } from "./feed-state";

// A screen reader hears a sum this often at most, and nothing while nothing
// comes.
const every = 15_000;
// The same sum twice is news only where something stood between.
const pause = 200;

export function Announcer({ state }: { state: FeedState }) {
  const [text, setText] = useState("");
  const latest = useRef(state);
  latest.current = state;

  useEffect(() => {
    let told = latest.current.received;
    let next: ReturnType<typeof setTimeout> | undefined;
    const timer = setInterval(() => {
      const { received, rows, paused } = latest.current;
      // A changed filter starts the count anew.
      const fresh = received - Math.min(told, received);
      told = received;
      if (fresh === 0 || paused) return;
      setText("");
      next = setTimeout(() => setText(summary(fresh, rows)), pause);
    }, every);
    return () => {
      clearInterval(timer);
      clearTimeout(next);
    };
  }, []);

  return (
    <p role="status" className="sr-only">
      {text}
    </p>
  );
}

function summary(fresh: number, rows: FeedState["rows"]): string {
  const critical = rows
    .slice(-fresh)
    .filter(({ event }) => event && event.severity >= Severity.CRITICAL).length;
  return `${plural(fresh, "new event")}${critical > 0 ? `, ${critical} critical` : ""}`;
}
