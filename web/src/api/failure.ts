import { Code, ConnectError } from "@connectrpc/connect";

// What went wrong, in the reader's words. `kind` keeps apart what must never be
// mixed up: no connection is not "denied", and neither is "nothing there".
export type FailureKind =
  | "unreachable"
  | "slow"
  | "starting"
  | "unauthenticated"
  | "denied"
  | "refused"
  | "impossible"
  | "missing"
  | "overloaded"
  | "conflict"
  | "absent"
  | "unloaded"
  | "broken";

export interface Failure {
  kind: FailureKind;
  title: string;
  advice: string;
  // What the server said, untrusted.
  detail: string;
  // Whether the same call may succeed later without anybody doing something.
  passing: boolean;
}

const words: Record<FailureKind, Pick<Failure, "title" | "advice" | "passing">> = {
  unreachable: {
    title: "No connection to the operator",
    advice:
      "Check that the operator runs and that the network, port-forward or ingress to it is up.",
    passing: true,
  },
  slow: {
    title: "The operator takes too long over this",
    advice: "It is busy, or what it asks in the cluster is.",
    passing: true,
  },
  starting: {
    title: "The operator cannot answer this yet",
    advice: "It is starting, or it has lost its watch. Its health shows why.",
    passing: true,
  },
  unauthenticated: {
    title: "You are not signed in",
    advice: "The operator asks who you are and got no valid answer. Sign in again.",
    passing: false,
  },
  denied: {
    title: "You may not see this",
    advice:
      "Your account lacks the right. Ask whoever runs the cluster for it, or pick a namespace that you may read.",
    passing: false,
  },
  refused: {
    title: "The operator does not take this request",
    advice: "Most likely a filter is mistyped. Change it, or clear the filters.",
    passing: false,
  },
  impossible: {
    title: "This cannot be done as things are",
    advice: "What stands in its way, in the operator's words:",
    passing: false,
  },
  missing: {
    title: "Not found",
    advice: "It may have been deleted, or the address is mistyped.",
    passing: false,
  },
  overloaded: {
    title: "The operator serves as many as it can",
    advice: "Close streams that nobody watches.",
    passing: true,
  },
  conflict: {
    title: "It changed in the meantime",
    advice: "What you saw is no longer what is there. Look at it anew, then decide again.",
    passing: false,
  },
  absent: {
    title: "This operator does not offer this",
    advice:
      "It is an older version, or the part is switched off in its configuration. Everything else works as before.",
    passing: false,
  },
  unloaded: {
    title: "This part of the page could not be loaded",
    advice:
      "There is no connection to the operator, or it was updated since the page was opened. Try again once it is reached; after an update reload the page.",
    passing: true,
  },
  broken: {
    title: "Something went wrong",
    advice: "Try again. If it stays, look into the operator's log.",
    passing: true,
  },
};

// What goes by itself, so that it is asked again until it has.
const awaited: readonly FailureKind[] = ["unreachable", "slow", "starting", "overloaded"];
// After which what was sent may have been taken all the same.
const unsure: readonly FailureKind[] = ["unreachable", "slow", "starting"];

export function failure(kind: FailureKind, detail = ""): Failure {
  return worded(kind, detail, awaited.includes(kind) ? "The page keeps trying." : "");
}

export function isUnsure(reason: unknown): boolean {
  return unsure.includes(explain(reason).kind);
}

export function explain(reason: unknown): Failure {
  const [kind, detail] = sortOf(reason);
  return failure(kind, detail);
}

const mayNot = {
  title: "You may not do this",
  advice: "Ask whoever runs the cluster for the right, or somebody else to decide.",
};

// explainOnce is explain for what a person does, which is sent once: nothing tries it
// again but he. Where it changes something, under a key, that is not done twice.
export function explainOnce(reason: unknown, { keyed = false } = {}): Failure {
  const [kind, detail] = sortOf(reason);
  if (kind === "denied") return { ...failure(kind, detail), ...mayNot };
  if (keyed && unsure.includes(kind))
    return worded(
      kind,
      detail,
      "Whether it was done is not known; tried again here, it is done once.",
    );
  return worded(kind, detail, awaited.includes(kind) ? "Try again in a moment." : "");
}

function worded(kind: FailureKind, detail: string, further: string): Failure {
  const { title, advice, passing } = words[kind];
  return { kind, title, advice: `${advice} ${further}`.trimEnd(), detail, passing };
}

function sortOf(reason: unknown): [FailureKind, string] {
  const error = ConnectError.from(reason);
  // What browsers say of a failed fetch helps nobody.
  return [kindOf(error), error.cause instanceof TypeError ? "" : error.rawMessage];
}

// explainOffered is explain for a call that every operator offers: that there is no
// such thing is then the word of a proxy which has no operator behind it, as for a
// moment in a roll-out.
export function explainOffered(reason: unknown): Failure {
  const why = explain(reason);
  return why.kind === "absent" ? failure("unreachable", why.detail) : why;
}

function kindOf(error: ConnectError): FailureKind {
  switch (error.code) {
    case Code.Unavailable:
      return "starting";
    case Code.DeadlineExceeded:
      return "slow";
    case Code.Canceled:
      return "unreachable";
    // An etag that is no longer right, by AIP-154.
    case Code.Aborted:
    case Code.AlreadyExists:
      return "conflict";
    case Code.Unimplemented:
      return "absent";
    case Code.Unauthenticated:
      return "unauthenticated";
    case Code.PermissionDenied:
      return "denied";
    case Code.InvalidArgument:
    case Code.OutOfRange:
      return "refused";
    case Code.FailedPrecondition:
      return "impossible";
    case Code.NotFound:
      return "missing";
    case Code.ResourceExhausted:
      return "overloaded";
    default:
      // fetch says no more of a failed connection than TypeError.
      return error.cause instanceof TypeError ? "unreachable" : "broken";
  }
}
