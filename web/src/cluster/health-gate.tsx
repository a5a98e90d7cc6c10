import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ComponentHealth } from "@rightsizer/api/cluster";
import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useRef } from "react";
import { explain, failure } from "../api/failure";
import { FailureNotice } from "../ui/failure-notice";
import { ErrorIcon, WarningIcon } from "../ui/icons";
import { Untrusted } from "../ui/untrusted";
import { When } from "../ui/when";
import { StartingPanel } from "./starting-panel";
import { startingPart, useHealth } from "./use-health";

// HealthGate shows what concerns every view: that the API is open, that the
// operator is out of reach, and that it is starting: in the view's place where there
// was none yet, else beside it, since its rows and what is being typed in it would go.
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

  // Who may not see the health is told of an outage by what else he asks.
  const { ask } = health;
  const denied = health.failure !== undefined && !health.failure.passing;
  useEffect(() => {
    if (!denied) return;
    let asked = false; // its own answer is heard here as well
    return queries.getQueryCache().subscribe((event) => {
      if (asked || event.type !== "updated" || event.action.type !== "error") return;
      asked = explain(event.action.error).kind === "unreachable";
      if (asked) ask();
    });
  }, [denied, ask, queries]);

  // A right that is missing hides the health, not the view.
  // Health is answered before anything else is: none is no connection, whatever a
  // proxy in between calls it.
  const away = health.failure?.passing ? failure("unreachable", health.failure.detail) : undefined;
  const shown = useRef(false);
  shown.current ||= health.answer ? !starting : Boolean(health.failure && !away);
  if (away && !shown.current) return <FailureNotice failure={away} retry={health.ask} />;

  return (
    <>
      {health.answer?.open && <OpenBanner />}
      {away && (
        <p role="alert" className="flex gap-2 rounded-md bg-error-fill px-3 py-2 text-error">
          <ErrorIcon className="mt-0.5 size-4" />
          <span>
            {health.answeredAt > 0 ? (
              <>
                No answer from the operator since <When time={timestampFromMs(health.answeredAt)} />
                . What you see is from then; the page keeps trying.
              </>
            ) : (
              "No answer from the operator. What you see is from before; the page keeps trying."
            )}
          </span>
        </p>
      )}
      {starting && shown.current && <StartingBanner part={starting} />}
      {starting && health.answer && !shown.current ? (
        <StartingPanel part={starting} components={health.answer.components} />
      ) : (
        children
      )}
    </>
  );
}

// The words are heard once; the reason, which counts up, is for the eye.
function StartingBanner({ part }: { part: ComponentHealth }) {
  return (
    <div className="flex gap-2 rounded-md bg-warning-fill px-3 py-2 text-warning">
      <WarningIcon className="mt-0.5 size-4" />
      <p className="min-w-0 break-words">
        <span role="status">
          The operator is starting. What you see is from before; the page goes on by itself.
        </span>{" "}
        <Untrusted text={part.reason} />
      </p>
    </div>
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
