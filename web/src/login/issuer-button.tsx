import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { issuer } from "../api/auth";
import { explain } from "../api/failure";
import { Untrusted } from "../ui/untrusted";
import { begin } from "./attempt";

// The way through the organisation's own login, where the operator knows one.
export function IssuerButton() {
  const [fault, setFault] = useState("");
  const { data, error, refetch } = useQuery({
    queryKey: ["login", "issuer"],
    queryFn: async ({ signal }) => (await issuer(signal)) ?? null,
    retry: false,
  });
  if (error && !data)
    return (
      <p role="status" className="mt-4 text-warning">
        Whether there is a single sign-on is not known: {explain(error).title.toLowerCase()}.{" "}
        <button type="button" className="underline" onClick={() => void refetch()}>
          Ask again
        </button>
      </p>
    );
  if (!data) return null;
  const at = data;
  const host = URL.canParse(at.issuer) ? new URL(at.issuer).host : at.issuer;

  async function go() {
    if (!window.isSecureContext) {
      setFault("A browser can do this over https or on localhost only.");
      return;
    }
    const { origin, pathname, search } = window.location;
    try {
      window.location.assign(await begin(at, origin, pathname + search));
    } catch (reason) {
      setFault(
        reason instanceof DOMException
          ? "This browser keeps nothing for this page, which is needed for the way back. Allow it session storage, or sign in with a token."
          : `The way there cannot be taken: ${String(reason)}`,
      );
    }
  }

  return (
    <div className="mt-4 flex flex-col gap-2 border-b border-line pb-4">
      {at.endpoint ? (
        <button type="button" className="button-main self-start" onClick={() => void go()}>
          Sign in at <Untrusted text={host} />
        </button>
      ) : (
        <p role="status" className="text-warning">
          <Untrusted text={host} /> does not answer the operator.{" "}
          <button type="button" className="underline" onClick={() => void refetch()}>
            Ask again
          </button>
        </p>
      )}
      {fault && (
        <p role="alert" className="text-error">
          {fault}
        </p>
      )}
    </div>
  );
}
