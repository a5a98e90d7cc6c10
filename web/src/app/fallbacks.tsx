import { type ErrorComponentProps, Link } from "@tanstack/react-router";
import { Empty } from "../ui/empty";
import { Broken } from "../ui/later";
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

export function ViewBroken({ error, reset }: ErrorComponentProps) {
  return (
    <>
      <ViewTitle title="This view cannot be shown" />
      <Broken error={error} reset={reset} />
    </>
  );
}
