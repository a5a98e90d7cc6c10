import { explain } from "../api/failure";

// Says of an answer that is there that a later question went unanswered.
export function NotUpToDate({ error }: { error: unknown }) {
  const failure = error ? explain(error) : undefined;
  // That nothing is reached at all is told once, for the whole page.
  if (!failure || failure.kind === "unreachable") return null;
  return (
    <p role="status" className="text-warning">
      Not up to date: {failure.title.toLowerCase()}.
    </p>
  );
}
