import { count, plural } from "../format/quantity";
import type { Pages } from "./use-pages";

export interface PagerProps {
  pages: Pages;
  shown: number;
  pageSize: number;
  total?: number; // where the server says it
  next: string; // token of the next page, empty on the last
  what: string;
  many?: string; // its plural, where an s does not make it
}

export function Pager({ pages, shown, pageSize, total, next, what, many }: PagerProps) {
  const first = pages.number * pageSize + 1;
  return (
    <nav
      aria-label="Pages"
      tabIndex={-1}
      className="flex flex-wrap items-center justify-between gap-2"
    >
      <p role="status" className="text-soft tabular-nums">
        {shown === 0 ? (
          "Nothing more on this page"
        ) : (
          <>
            {count(first)} to {count(first + shown - 1)}
            {total === undefined
              ? pages.number === 0 && next === "" && ` of ${plural(shown, what, many)}`
              : ` of ${plural(total, what, many)}`}
          </>
        )}
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
