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

// How the stream is doing. What a screen reader hears changes with the state
// only: the seconds that count down are for the eye.
export function ConnectionLine({ connection, note, retry }: Props) {
  const now = useNow(500, connection.state === "waiting");
  const told = useForAWhile(connection.state === "live" ? note : undefined);
  switch (connection.state) {
    case "connecting":
      return (
        <p role="status" className="flex items-center gap-2 text-info">
          <WaitIcon /> {connection.attempt === 0 ? "Connecting" : "Reconnecting"}
        </p>
      );
    case "live":
      return (
        <p role="status" className="flex items-center gap-2 text-good">
          <CheckIcon /> Live{told && `, ${noteText(told)}`}
        </p>
      );
    case "waiting": {
      const seconds = Math.max(0, Math.ceil((connection.retryAt - now) / 1000));
      return (
        <div className="flex flex-wrap items-center gap-2 text-error">
          <p role="status" className="flex items-center gap-2">
            <ErrorIcon /> {connection.failure.title}: reconnecting
          </p>
          <span aria-hidden="true" className="tabular-nums">
            in {seconds} s
          </span>
          <button type="button" className="field" onClick={retry}>
            Reconnect now
          </button>
          {connection.failure.detail && (
            <span className="text-soft">
              <Untrusted text={connection.failure.detail} />
            </span>
          )}
        </div>
      );
    }
    case "parked":
      return (
        <p role="status" className="flex items-center gap-2 text-soft">
          <PauseIcon /> Resting while this tab was hidden
        </p>
      );
    case "stopped":
      return (
        <div className="flex flex-wrap items-center gap-2 text-error">
          <p role="status" className="flex items-center gap-2">
            <ErrorIcon /> {connection.failure.title}
          </p>
          <button type="button" className="field" onClick={retry}>
            Try again
          </button>
        </div>
      );
  }
}

function noteText(note: Note): string {
  switch (note.kind) {
    case "resumed":
      return "resumed without loss";
    case "lost":
      return lostText(note.count, note.bound);
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
