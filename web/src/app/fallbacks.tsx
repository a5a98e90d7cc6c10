import { type ErrorComponentProps, Link } from "@tanstack/react-router";
import { failure } from "../api/failure";
import { Empty } from "../ui/empty";
import { FailureNotice } from "../ui/failure-notice";
import { ViewTitle } from "../ui/view-title";

export function NotFound() {
  return (
    <>
      <ViewTitle title="No such page" />
      <Empty title="There is nothing at this address">
        It may be mistyped, or of another version.{" "}
        <Link to="/" className="bare-link underline">
          Go to the overview
        </Link>
        .
      </Empty>
    </>
  );
}

// A bug in a view, or a chunk that is gone since the operator was updated: a
// reload mends the second.
export function ViewBroken({ error }: ErrorComponentProps) {
  return (
    <FailureNotice
      failure={failure("broken", String(error))}
      retry={() => window.location.reload()}
    />
  );
}
