import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useRef } from "react";
import { failure } from "../api/failure";
import { FailureNotice } from "../ui/failure-notice";
import { ErrorIcon, WarningIcon } from "../ui/icons";
import { When } from "../ui/when";
import { StartingPanel } from "./starting-panel";
import { startingPart, useHealth } from "./use-health";

// HealthGate shows what concerns every view: that the API is open, that the
// operator is out of reach, and, in the view's place, that it is starting.
export function HealthGate({ children }: { children: ReactNode }) {
  const health = useHealth();
  const starting = startingPart(health.answer);
  const queries = useQueryClient();
  const started = useRef(true);

  // What was asked while there was no cluster is asked again now.
  useEffect(() => {
    if (!starting && !started.current) void queries.invalidateQueries();
    started.current = !starting;
  }, [starting, queries]);

  // A right that is missing hides the health, not the view.
  // Health is answered before anything else is: none is no connection, whatever a
  // proxy in between calls it.
  const away = health.failure?.passing ? failure("unreachable", health.failure.detail) : undefined;
  if (away && !health.answer) return <FailureNotice failure={away} retry={health.ask} />;

  return (
    <>
      {health.answer?.open && <OpenBanner />}
      {away && (
        <p role="alert" className="flex gap-2 rounded-md bg-error-fill px-3 py-2 text-error">
          <ErrorIcon className="mt-0.5 size-4" />
          <span>
            No answer from the operator since <When time={timestampFromMs(health.answeredAt)} />.
            What you see is from then; the page keeps trying.
          </span>
        </p>
      )}
      {starting && health.answer ? (
        <StartingPanel part={starting} components={health.answer.components} />
      ) : (
        children
      )}
    </>
  );
}

function OpenBanner() {
  return (
    <p className="flex gap-2 rounded-md bg-warning-fill px-3 py-2 text-warning">
      <WarningIcon className="mt-0.5 size-4" />
      <span>
        <strong>API is open:</strong> nobody is asked who he is; bound to loopback
      </span>
    </p>
  );
}
