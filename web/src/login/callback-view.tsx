import { Link, useRouter } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { exchange } from "../api/auth";
import { explainOnce } from "../api/failure";
import { Untrusted } from "../ui/untrusted";
import { ViewTitle } from "../ui/view-title";
import { take } from "./attempt";
import { useSignIn } from "./use-sign-in";

// Where the issuer sends the browser back to. A code that this tab did not ask for
// is not redeemed: somebody else may have sent it.
export function CallbackView() {
  const router = useRouter();
  const signIn = useSignIn();
  const [fault, setFault] = useState("");
  const begun = useRef(false);

  useEffect(() => {
    if (begun.current) return; // a code is good once
    begun.current = true;
    async function finish() {
      const params = new URLSearchParams(window.location.search);
      const attempt = take(params.get("state") ?? "");
      // The code goes from the address and the history, whatever comes; past the
      // router, to which it would be another visit.
      const { history, location } = window;
      History.prototype.replaceState.call(history, history.state, "", location.pathname);
      if (!attempt) return "This tab did not begin this login, or it was used already.";
      const refused = params.get("error");
      if (refused) return `The issuer says: ${params.get("error_description") || refused}`;
      const token = await exchange({
        code: params.get("code") ?? "",
        codeVerifier: attempt.verifier,
        redirectUri: window.location.origin + window.location.pathname,
        nonce: attempt.nonce,
      });
      const wrong = await signIn(token);
      if (wrong === "") router.history.replace(attempt.back);
      return wrong;
    }
    finish().then(setFault, (reason) => {
      const { kind, title, advice } = explainOnce(reason);
      setFault(
        kind === "unauthenticated"
          ? "The issuer's answer does not hold: it may have taken too long."
          : `${title}. ${advice}`,
      );
    });
  }, [router, signIn]);

  return (
    <section className="panel m-auto w-full max-w-lg p-5">
      <ViewTitle title="Sign in" />
      {fault === "" ? (
        <p role="status" className="mt-1 text-soft">
          Signing in
        </p>
      ) : (
        <>
          <p role="alert" className="mt-1 text-error">
            <Untrusted text={fault} />
          </p>
          <Link to="/" className="button-main mt-4 inline-block">
            Start again
          </Link>
        </>
      )}
    </section>
  );
}
