import { LossBound } from "@rightsizer/api/stream";
import { useEffect, useState } from "react";
import { count } from "../format/quantity";
import { CheckIcon, ErrorIcon, PauseIcon, WaitIcon } from "../ui/icons";
import { Untrusted } from "../ui/untrusted";
import { useNow } from "../ui/use-now";
import type { Connection, Note } from "./feed-state";

interface Props {
  connection: Connection;
  note: Note | undefined;
  retry: () => void;
}

const bounds: Record<LossBound, string> = {
  [LossBound.UNSPECIFIED]: "about ",
  [LossBound.EXACT]: "",
  [LossBound.AT_MOST]: "at most ",
  [LossBound.AT_LEAST]: "at least ",
  [LossBound.ESTIMATE]: "about ",
};

export function lostText(lost: bigint, bound: LossBound): string {
  return `${bounds[bound] ?? "about "}${count(lost)} ${lost === 1n ? "event" : "events"} lost`;
}

// How the stream is doing. What a screen reader hears is one element that stays,
// and changes with the state only: the seconds that count down and how much was lost
// are for the eye, and an outage, or one loss after another, is one state.
export function ConnectionLine({ connection, note, retry }: Props) {
  const now = useNow(500, connection.state === "waiting");
  const told = useForAWhile(connection.state === "live" ? note : undefined);
  const { Icon, className, text, again } = look(connection, told);
  const lost = told?.kind === "lost" && lostText(told.count, told.bound);
  const detail = connection.state === "waiting" ? connection.failure.detail : "";
  return (
    <div className={`flex flex-wrap items-center gap-2 ${className}`}>
      <p role="status" className="flex items-center gap-2">
        <Icon /> {text}
      </p>
      {lost && <span>{lost}</span>}
      {connection.state === "waiting" && (
        <span aria-hidden="true" className="tabular-nums">
          in {Math.max(0, Math.ceil((connection.retryAt - now) / 1000))} s
        </span>
      )}
      {again && (
        <button type="button" className="field" onClick={retry}>
          {again}
        </button>
      )}
      {detail && (
        <span className="text-soft">
          <Untrusted text={detail} />
        </span>
      )}
    </div>
  );
}

interface Look {
  Icon: typeof CheckIcon;
  className: string;
  text: string;
  again?: string; // what the button says that asks anew
}

function look(connection: Connection, told: Note | undefined): Look {
  const { state } = connection;
  switch (state) {
    case "live":
      return {
        Icon: CheckIcon,
        className: "text-good",
        text: told ? `Live, ${noteText(told)}` : "Live",
      };
    case "parked":
      return { Icon: PauseIcon, className: "text-soft", text: "Resting while this tab was hidden" };
    case "stopped":
      return {
        Icon: ErrorIcon,
        className: "text-error",
        text: connection.failure.title,
        again: "Try again",
      };
    default:
      if (!connection.failure)
        return { Icon: WaitIcon, className: "text-info", text: "Connecting" };
      return {
        Icon: ErrorIcon,
        className: "text-error",
        text: `${connection.failure.title}: reconnecting`,
        again: "Reconnect now",
      };
  }
}

function noteText(note: Note): string {
  switch (note.kind) {
    case "resumed":
      return "resumed without loss";
    case "lost":
      return "with losses";
    case "reset":
      return "started afresh: what came between is not known";
  }
}

// A note is news for 20 s; a loss keeps its mark in the list.
function useForAWhile(note: Note | undefined): Note | undefined {
  const [gone, setGone] = useState<Note>();
  useEffect(() => {
    if (!note) return;
    const timer = setTimeout(() => setGone(note), 20_000);
    return () => clearTimeout(timer);
  }, [note]);
  return note === gone ? undefined : note;
}
