import { useState } from "react";
import type { Failure } from "../api/failure";
import { ErrorIcon, InfoIcon } from "./icons";
import { Untrusted } from "./untrusted";

interface Props {
  failure: Failure;
  retry?: () => unknown; // a promise where it lasts
  reload?: boolean; // whether a reload of the page may help
}

// What failed, what to do about it, and what the server said. What an operator
// does not offer is no alarm.
export function FailureNotice({ failure, retry, reload = false }: Props) {
  const calm = failure.kind === "absent";
  const [trying, setTrying] = useState(false);
  // The notice may stay as it is: that something was done shows on the button.
  async function again() {
    setTrying(true);
    await retry?.();
    setTrying(false);
  }
  return (
    <div
      role={calm ? "status" : "alert"}
      className="panel mx-auto my-6 flex w-full max-w-xl gap-3 p-4"
    >
      {calm ? (
        <InfoIcon className="mt-0.5 size-5 text-info" />
      ) : (
        <ErrorIcon className="mt-0.5 size-5 text-error" />
      )}
      <div className="min-w-0">
        <h2 className="font-semibold">{failure.title}</h2>
        <p className="mt-1 text-soft">{failure.advice}</p>
        {failure.detail && (
          <p className="mt-2 font-mono text-xs break-words text-soft">
            <Untrusted text={failure.detail} />
          </p>
        )}
        <div className="mt-3 flex flex-wrap gap-2 empty:hidden">
          {retry && !calm && (
            <button type="button" className="field" onClick={() => void again()}>
              {trying ? "Trying" : "Try again"}
            </button>
          )}
          {reload && (
            <button type="button" className="field" onClick={() => window.location.reload()}>
              Reload the page
            </button>
          )}
        </div>
      </div>
    </div>
  );
}
