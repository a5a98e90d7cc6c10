import { count, plural } from "../format/quantity";
import type { Pages } from "./use-pages";

interface Props {
  pages: Pages;
  shown: number;
  pageSize: number;
  total: number;
  next: string; // token of the next page, empty on the last
  what: string;
}

export function Pager({ pages, shown, pageSize, total, next, what }: Props) {
  const first = pages.number * pageSize + 1;
  return (
    <nav aria-label="Pages" className="flex flex-wrap items-center justify-between gap-2">
      <p role="status" className="text-soft tabular-nums">
        {count(first)} to {count(first + shown - 1)} of {plural(total, what)}
      </p>
      <div className="flex gap-2">
        <button
          type="button"
          className="field disabled:opacity-50"
          disabled={pages.number === 0}
          onClick={pages.back}
        >
          Previous
        </button>
        <button
          type="button"
          className="field disabled:opacity-50"
          disabled={next === ""}
          onClick={() => pages.next(next)}
        >
          Next
        </button>
      </div>
    </nav>
  );
}
