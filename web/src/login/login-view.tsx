import { type FormEvent, useId, useState } from "react";
import { useSession } from "../api/session";
import { ErrorIcon } from "../ui/icons";
import { ViewTitle } from "../ui/view-title";
import { IssuerButton } from "./issuer-button";
import { useSignIn } from "./use-sign-in";

// Asks who the viewer is, in the place of the view: what he wanted to see, and
// its address, stay.
export function LoginView() {
  const id = useId();
  const { token } = useSession();
  const [given, setGiven] = useState("");
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState(
    token ? "The operator does not take your token any more: it may have expired." : "",
  );
  const signIn = useSignIn();

  async function submit(event: FormEvent) {
    event.preventDefault();
    const tidy = given.trim().replace(/^Bearer\s+/i, "");
    if (tidy === "" || busy) return;
    setBusy(true);
    setFault("");
    setFault(await signIn(tidy));
    setBusy(false);
  }

  return (
    <section className="panel m-auto w-full max-w-lg p-5">
      <ViewTitle title="Sign in" />
      <p className="mt-1 text-soft">
        The operator asks who you are. What you may see and do is what Kubernetes grants you.
      </p>
      <IssuerButton />
      <form className="mt-4 flex flex-col gap-3" onSubmit={submit}>
        <div className="flex flex-col gap-1">
          <label htmlFor={id} className="font-medium">
            Token
          </label>
          <input
            id={id}
            type="password"
            autoComplete="off"
            spellCheck={false}
            className="field font-mono"
            value={given}
            aria-describedby={`${id}-how`}
            aria-invalid={fault !== ""}
            onChange={(change) => setGiven(change.target.value)}
          />
          <p id={`${id}-how`} className="text-xs text-soft">
            It stays in the memory of this tab: a reload asks again.
          </p>
        </div>
        {fault && (
          <p role="alert" className="flex gap-2 text-error">
            <ErrorIcon className="mt-0.5 size-4" />
            <span>{fault}</span>
          </p>
        )}
        <button type="submit" className="button-main self-start" disabled={given.trim() === ""}>
          {busy ? "Signing in" : "Sign in"}
        </button>
      </form>
      <details className="mt-4 border-t border-line pt-3">
        <summary className="text-soft">Where do I get a token?</summary>
        <p className="mt-2 text-soft">
          Ask the cluster for one that is good for an hour, in the name of a ServiceAccount that may
          read what you want to see:
        </p>
        <pre className="mt-2 overflow-x-auto rounded bg-raised p-2 text-xs">
          kubectl create token NAME -n NAMESPACE --audience=rightsizer.dev
        </pre>
      </details>
    </section>
  );
}
