import { QueryClientProvider } from "@tanstack/react-query";
import {
  createMemoryHistory,
  createRootRoute,
  createRouter,
  RouterProvider,
} from "@tanstack/react-router";

import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { signOut, token } from "../api/session";
import { newQueryClient } from "../app/queries";
import { begin, challenge, take } from "./attempt";
import { CallbackView } from "./callback-view";
import { LoginView } from "./login-view";

const at = {
  issuer: "https://login.example.com/realm",
  clientId: "rightsizer",
  endpoint: "https://login.example.com/realm/authorize?tenant=7",
  scopes: ["openid", "groups"],
  redirectPath: "/login/callback",
};

beforeEach(() => {
  signOut();
  sessionStorage.clear();
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

// Answers of /auth/, by name; what was asked is noted.
function serve(answers: Record<string, (sent: Request) => object | number>) {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    const name = path.replace("/auth/", "");
    asked.push(name);
    const answer = answers[name]?.(new Request(`http://localhost${path}`, init)) ?? 404;
    return typeof answer === "number"
      ? Response.json({ code: "x", message: "no" }, { status: answer })
      : Response.json(answer);
  });
  return asked;
}

function show(View: () => React.ReactNode, path = "/") {
  const router = createRouter({
    routeTree: createRootRoute({ component: View }),
    history: createMemoryHistory({ initialEntries: [path] }),
  });
  render(
    <QueryClientProvider client={newQueryClient()}>
      <RouterProvider router={router} />
    </QueryClientProvider>,
  );
  return router;
}

test("the challenge is the one of RFC 7636, appendix B", async () => {
  expect(await challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")).toBe(
    "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
  );
});

test("the issuer is asked with PKCE, state and nonce, and the attempt is good once", async () => {
  const { searchParams } = new URL(await begin(at, "https://page.example", "/live?type=pod.*"));
  const state = searchParams.get("state") ?? "";
  expect(Object.fromEntries(searchParams)).toMatchObject({
    tenant: "7",
    response_type: "code",
    client_id: "rightsizer",
    redirect_uri: "https://page.example/login/callback",
    scope: "openid groups",
    code_challenge_method: "S256",
  });
  const attempt = take(state);
  expect(attempt?.back).toBe("/live?type=pod.*");
  expect(attempt?.verifier).toMatch(/^[\w-]{43}$/);
  expect(new Set([attempt?.verifier, attempt?.nonce, state]).size).toBe(3);
  expect(searchParams.get("code_challenge")).toBe(await challenge(attempt?.verifier ?? ""));
  expect(take(state)).toBeUndefined();
});

test("a state that was not given out takes nothing, and burns the attempt", async () => {
  const url = new URL(await begin(at, "https://page.example", "/"));
  expect(take("another")).toBeUndefined();
  expect(take(url.searchParams.get("state") ?? "")).toBeUndefined();
});

async function comeBack(params: Record<string, string>) {
  window.history.replaceState(null, "", `/login/callback?${new URLSearchParams(params)}`);
  return show(CallbackView, "/login/callback");
}

test("coming back redeems the code, asks whose the token is, and returns to the view", async () => {
  const url = new URL(await begin(at, window.location.origin, "/audit"));
  const state = url.searchParams.get("state") ?? "";
  let sent: unknown;
  const asked = serve({
    exchange: (request) => {
      void request.json().then((body) => {
        sent = body;
      });
      return { token: "t-1" };
    },
    whoami: (request) =>
      request.headers.get("Authorization") === "Bearer t-1" ? { user: "ana" } : 401,
  });
  const router = await comeBack({ code: "c-1", state });
  await waitFor(() => expect(router.history.location.pathname).toBe("/audit"));
  expect(asked).toEqual(["exchange", "whoami"]);
  expect(token()).toBe("t-1");
  expect(sent).toMatchObject({ code: "c-1", nonce: url.searchParams.get("nonce") });
  expect(window.location.search).toBe("");
});

test("a code that this tab did not ask for is never redeemed", async () => {
  const asked = serve({ exchange: () => ({ token: "of-somebody-else" }) });
  await comeBack({ code: "c-1", state: "forged" });
  await waitFor(() => expect(screen.getByRole("alert").textContent).toContain("did not begin"));
  expect(asked).toEqual([]);
  expect(token()).toBe("");
});

test("what the issuer refuses is said", async () => {
  const url = new URL(await begin(at, window.location.origin, "/"));
  serve({});
  await comeBack({
    error: "access_denied",
    error_description: "not in the group",
    state: url.searchParams.get("state") ?? "",
  });
  await waitFor(() => expect(screen.getByRole("alert").textContent).toContain("not in the group"));
});

test("a token that the operator does not take is not kept", async () => {
  serve({ config: () => ({ open: false }), whoami: () => 401 });
  show(LoginView);
  fireEvent.change(await screen.findByLabelText("Token"), { target: { value: "Bearer wrong" } });
  fireEvent.click(screen.getByRole("button", { name: "Sign in" }));
  await waitFor(() => expect(screen.getByRole("alert").textContent).toContain("does not take"));
  expect(token()).toBe("");
});

test.each([
  [503, "cannot answer this yet"],
  [429, "serves as many as it can"],
])("an operator that answers %s is not a wrong token", async (status, says) => {
  serve({ config: () => ({ open: false }), whoami: () => status });
  show(LoginView);
  fireEvent.change(await screen.findByLabelText("Token"), { target: { value: "right" } });
  fireEvent.click(screen.getByRole("button", { name: "Sign in" }));
  await waitFor(() => expect(screen.getByRole("alert").textContent).toContain(says));
});

test("an issuer is offered by its name, and its silence is said", async () => {
  const oidc = { ...at, authorizationEndpoint: at.endpoint };
  serve({ config: () => ({ open: false, oidc }) });
  show(LoginView);
  expect(await screen.findByRole("button", { name: /login\.example\.com/ })).toBeTruthy();
  cleanup();
  serve({ config: () => ({ open: false, oidc: at }) });
  show(LoginView);
  expect((await screen.findByRole("status")).textContent).toContain("does not answer");
});

test("whether there is an issuer is not known where that was not answered", async () => {
  serve({ config: () => 503 });
  show(LoginView);
  expect((await screen.findByRole("status")).textContent).toContain("not known");
  const oidc = { ...at, authorizationEndpoint: at.endpoint };
  serve({ config: () => ({ open: false, oidc }) });
  fireEvent.click(screen.getByRole("button", { name: "Ask again" }));
  expect(await screen.findByRole("button", { name: /login\.example\.com/ })).toBeTruthy();
});

test("a browser that keeps nothing is told that the way to the issuer needs it", async () => {
  serve({ config: () => ({ open: false, oidc: { ...at, authorizationEndpoint: at.endpoint } }) });
  vi.stubGlobal("isSecureContext", true);
  vi.stubGlobal("sessionStorage", {
    setItem: () => {
      throw new DOMException("denied", "SecurityError");
    },
  });
  show(LoginView);
  fireEvent.click(await screen.findByRole("button", { name: /login\.example\.com/ }));
  expect((await screen.findByRole("alert")).textContent).toContain("Allow it session storage");
});
