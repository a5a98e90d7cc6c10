import type { Failure } from "../api/failure";
import { ErrorIcon } from "./icons";
import { Untrusted } from "./untrusted";

interface Props {
  failure: Failure;
  retry?: () => void;
}

// What failed, what to do about it, and what the server said.
export function FailureNotice({ failure, retry }: Props) {
  return (
    <div role="alert" className="panel m-auto flex max-w-xl gap-3 p-4">
      <ErrorIcon className="mt-0.5 size-5 text-error" />
      <div className="min-w-0">
        <h2 className="font-semibold">{failure.title}</h2>
        <p className="mt-1 text-soft">{failure.advice}</p>
        {failure.detail && (
          <p className="mt-2 font-mono text-xs break-words text-soft">
            <Untrusted text={failure.detail} />
          </p>
        )}
        {retry && (
          <button type="button" className="field mt-3" onClick={retry}>
            Try again
          </button>
        )}
      </div>
    </div>
  );
}
