import { Code, ConnectError } from "@connectrpc/connect";

// The endpoints of the login, below /auth/. They are plain JSON, not of the
// schema: what comes is looked at before it is believed. Faults are ConnectErrors,
// for explain().

export interface Issuer {
  issuer: string;
  clientId: string;
  endpoint: string; // where to send the browser; empty while the issuer is away
  scopes: string[];
  redirectPath: string;
}

export interface Exchange {
  code: string;
  codeVerifier: string;
  redirectUri: string;
  nonce: string;
}

// Where to log in; undefined where the operator has no issuer.
export async function issuer(signal?: AbortSignal): Promise<Issuer | undefined> {
  const { oidc } = await ask("GET", "config", { signal });
  if (!isRecord(oidc)) return undefined;
  return {
    issuer: text(oidc, "issuer"),
    clientId: text(oidc, "clientId"),
    endpoint: text(oidc, "authorizationEndpoint"),
    scopes: Array.isArray(oidc.scopes) ? oidc.scopes.filter((s) => typeof s === "string") : [],
    redirectPath: text(oidc, "redirectPath"),
  };
}

// A token for the code that the issuer gave.
export async function exchange(body: Exchange): Promise<string> {
  const token = text(await ask("POST", "exchange", { body }), "token");
  if (token === "") throw new ConnectError("the operator answered without a token", Code.Internal);
  return token;
}

// Whose token it is. Unauthenticated where it is nobody's.
export async function whoami(token: string): Promise<string> {
  return text(await ask("GET", "whoami", { token }), "user");
}

// Ends the streams that were opened with the token.
export async function logout(token: string): Promise<void> {
  await ask("POST", "logout", { token });
}

interface Request {
  token?: string;
  body?: object;
  signal?: AbortSignal | undefined;
}

const patience = 15_000; // ms

async function ask(method: string, name: string, { token, body, signal }: Request) {
  const limit = AbortSignal.timeout(patience);
  try {
    const answer = await fetch(`/auth/${name}`, {
      method,
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      headers: {
        ...(body && { "Content-Type": "application/json" }),
        ...(token && { Authorization: `Bearer ${token}` }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    const value: unknown = await answer.json().catch(() => undefined);
    const said = isRecord(value) ? value : {};
    if (answer.ok) return said;
    throw new ConnectError(text(said, "message"), codes[answer.status] ?? Code.Unknown);
  } catch (reason) {
    if (limit.aborted) throw new ConnectError("", Code.DeadlineExceeded);
    throw ConnectError.from(reason);
  }
}

const codes: Record<number, Code> = {
  400: Code.InvalidArgument,
  401: Code.Unauthenticated,
  403: Code.PermissionDenied,
  404: Code.NotFound,
  429: Code.ResourceExhausted,
  502: Code.Unavailable,
  503: Code.Unavailable,
  504: Code.Unavailable,
};

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function text(value: Record<string, unknown>, name: string): string {
  const found = value[name];
  return typeof found === "string" ? found : "";
}
