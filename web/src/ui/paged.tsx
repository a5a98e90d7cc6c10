import type { ReactNode } from "react";
import { Pager, type PagerProps } from "./pager";

interface Props extends PagerProps {
  stale: boolean; // the rows are those of another page, or of another filter
  nothing: ReactNode; // where there is nothing at all
  children: ReactNode;
}

// Paged shows a page of rows and the way to the others. A later page whose rows
// went meanwhile is empty, and says nothing of the pages before it.
export function Paged({ stale, nothing, children, ...pager }: Props) {
  const empty = pager.shown === 0;
  if (empty && pager.pages.number === 0 && pager.next === "") return nothing;
  return (
    <div className={`flex flex-col gap-2 ${stale ? "opacity-60" : ""}`}>
      {!empty && children}
      <Pager {...pager} />
    </div>
  );
}
