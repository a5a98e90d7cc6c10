import type { ReactNode } from "react";
import { explain } from "../api/failure";
import { FailureNotice } from "./failure-notice";
import { NotUpToDate } from "./not-up-to-date";
import { SkeletonRows } from "./skeleton";

// The part of a query's result that says what to show.
interface Answer<Data> {
  data: Data | undefined;
  error: unknown;
  refetch(): unknown;
}

interface Props<Data> {
  query: Answer<Data>;
  what: string; // in "Loading …"
  rows?: number; // of the skeleton
  skeleton?: ReactNode;
  children: (data: Data) => ReactNode;
}

// Loaded shows what was answered; before that a skeleton, and where there is no
// answer why. An answer that is there stays: a later failure is told above it.
export function Loaded<Data>({ query, what, rows = 12, skeleton, children }: Props<Data>) {
  const { data, error, refetch } = query;
  const failure = error ? explain(error) : undefined;
  // That it is gone is an answer too, and the latest.
  if (data === undefined || failure?.kind === "missing")
    return failure ? (
      <FailureNotice failure={failure} retry={() => refetch()} />
    ) : (
      (skeleton ?? <SkeletonRows what={what} rows={rows} />)
    );
  return (
    <>
      <NotUpToDate error={error} />
      {children(data)}
    </>
  );
}
