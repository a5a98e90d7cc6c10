import type { Issuer } from "../api/auth";

// What a login that went to the issuer must know when it comes back. It is worth
// nothing without the issuer's code, is read once, and goes with the tab.
export interface Attempt {
  state: string;
  verifier: string;
  nonce: string;
  back: string; // the view that was asked for, as path and search
}

const key = "rightsizer.login";

// Prepares a login (authorization code with PKCE) and returns where to send the
// browser. Only secure contexts can: https, or localhost.
export async function begin(at: Issuer, origin: string, back: string): Promise<string> {
  const attempt = { state: random(), verifier: random(), nonce: random(), back };
  sessionStorage.setItem(key, JSON.stringify(attempt));
  const url = new URL(at.endpoint);
  const params = {
    response_type: "code",
    client_id: at.clientId,
    redirect_uri: origin + at.redirectPath,
    scope: at.scopes.join(" "),
    state: attempt.state,
    nonce: attempt.nonce,
    code_challenge: await challenge(attempt.verifier),
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value);
  return url.href;
}

// The attempt that `state` belongs to; undefined where this tab began none such.
export function take(state: string): Attempt | undefined {
  const stored = sessionStorage.getItem(key);
  sessionStorage.removeItem(key);
  if (!stored) return undefined;
  const attempt: Attempt = JSON.parse(stored);
  return state !== "" && attempt.state === state ? attempt : undefined;
}

// RFC 7636, section 4.2.
export async function challenge(verifier: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  return base64url(new Uint8Array(digest));
}

// 256 bits, as 43 characters.
function random(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

function base64url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
