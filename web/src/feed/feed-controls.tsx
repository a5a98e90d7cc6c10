import { count, plural } from "../format/quantity";
import { PauseIcon, PlayIcon } from "../ui/icons";
import type { FeedState } from "./feed-state";

interface Props {
  state: FeedState;
  shown: number; // rows that match the text
  setPaused: (paused: boolean) => void;
}

export function FeedControls({ state, shown, setPaused }: Props) {
  const { paused, held, rows, dropped, incidents } = state;
  return (
    <div className="ms-auto flex flex-wrap items-center gap-3 text-soft tabular-nums">
      <span>
        {shown === rows.length
          ? plural(shown, "row")
          : `${count(shown)} of ${plural(rows.length, "row")}`}
        {dropped > 0 && `, ${count(dropped)} older ones let go`}
        {incidents > 0 && `, ${plural(incidents, "incident message")}`}
      </span>
      <button
        type="button"
        className="field inline-flex items-center gap-2"
        onClick={() => setPaused(!paused)}
      >
        {paused ? <PlayIcon /> : <PauseIcon />}
        {paused ? `Resume (${count(held.length)} held)` : "Pause"}
      </button>
    </div>
  );
}
