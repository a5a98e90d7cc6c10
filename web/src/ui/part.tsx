import { explain } from "../api/failure";

// One of the answers that a list is put together from.
export interface Part {
  known: boolean; // an answer is there
  error: unknown; // why there is none, or none since
  cut: boolean; // there is more than was looked at
}

interface Page {
  data: { nextPageToken: string } | undefined;
  error: unknown;
}

export function partOf({ data, error }: Page): Part {
  return { known: data !== undefined, error, cut: Boolean(data?.nextPageToken) };
}

export function isPending({ known, error }: Part): boolean {
  return !known && !error;
}

// whole says whether what is not in the list is not there.
export function whole({ known, error, cut }: Part): boolean {
  return known && !error && !cut;
}

interface Props {
  part: Part;
  what: string; // "Events"
  cut: string; // what to say where there is more
}

// PartNote says what a list lacks; nothing where it lacks nothing.
export function PartNote({ part, what, cut }: Props) {
  const { known, error } = part;
  if (!error && !part.cut) return null;
  const title = error ? explain(error).title.toLowerCase() : "";
  return (
    <p role="status" className={error ? "text-warning" : "text-soft"}>
      {title && `${what} are not ${known ? "up to date" : "shown"}: ${title}. `}
      {part.cut && cut}
    </p>
  );
}
