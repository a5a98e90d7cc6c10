import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { TransportProvider, useQuery } from "@connectrpc/connect-query";
import { ClusterService } from "@rightsizer/api/cluster_service";
import { keepPreviousData, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Loaded } from "../ui/loaded";
import { newQueryClient } from "./queries";

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

const settle = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));
const latency = 100;

function Nodes({ page }: { page: string }) {
  const query = useQuery(
    ClusterService.method.listNodes,
    { pageToken: page },
    { placeholderData: keepPreviousData, refetchInterval: 2000, retry: false },
  );
  return (
    <Loaded query={query} what="nodes">
      {({ nodes }) => nodes.map(({ name }) => name)}
    </Loaded>
  );
}

// An operator that takes its time, so that what shows meanwhile is seen.
function show(page: string) {
  const denied = new Set(["secret"]);
  const asked: string[] = [];
  const transport = createRouterTransport(({ service }) => {
    service(ClusterService, {
      listNodes: async ({ pageToken }) => {
        asked.push(pageToken);
        await new Promise((done) => setTimeout(done, latency));
        if (denied.has(pageToken)) throw new ConnectError("no", Code.PermissionDenied);
        return { nodes: [{ name: `node of ${pageToken}` }] };
      },
    });
  });
  const queries = newQueryClient();
  const view = (page: string) => (
    <TransportProvider transport={transport}>
      <QueryClientProvider client={queries}>{page && <Nodes page={page} />}</QueryClientProvider>
    </TransportProvider>
  );
  const { rerender } = render(view(page));
  return { asked, denied, queries, turn: (page: string) => rerender(view(page)) };
}

test("that there is no answer stays said while it is asked again", async () => {
  const { asked, denied } = show("secret");
  await settle(latency + 10);
  const alert = screen.getByRole("alert");
  const button = screen.getByRole("button", { name: "Try again" });
  button.focus();
  await settle(2000 - latency);
  for (let step = 0; step < 4; step++) {
    await settle(latency / 2);
    expect(screen.getByRole("alert")).toBe(alert);
    expect(screen.queryByRole("status")).toBeNull();
  }
  expect(asked.length).toBeGreaterThan(1);
  expect(document.activeElement).toBe(button);
  await settle(latency);
  fireEvent.click(button);
  await settle(latency / 2);
  expect(button.textContent).toBe("Trying");
  await settle(latency);
  expect(button.textContent).toBe("Try again");
  denied.clear();
  await settle(2000 + latency);
  expect(screen.queryByRole("alert")).toBeNull();
  expect(screen.getByText("node of secret")).toBeTruthy();
});

test("rows of another filter do not come back while a denied one is asked again", async () => {
  const { asked, turn } = show("open");
  await settle(latency + 10);
  turn("secret");
  await settle(latency + 10);
  expect(screen.getByRole("alert")).toBeTruthy();
  const before = asked.length;
  for (let step = 0; step < 50; step++) {
    await settle(latency / 2);
    expect(screen.queryByText("node of open")).toBeNull();
  }
  expect(asked.length).toBeGreaterThan(before);
});

test("what nobody looked at meanwhile is a new question", async () => {
  const { turn } = show("secret");
  await settle(latency + 10);
  turn("");
  turn("secret");
  await settle(10);
  expect(screen.queryByRole("alert")).toBeNull();
  expect(screen.getByRole("status").textContent).toContain("Loading nodes");
  await settle(latency);
  expect(screen.getByRole("alert")).toBeTruthy();
});

test("whoever signs in is not told what another one was refused", async () => {
  const { queries } = show("secret");
  await settle(latency + 10);
  act(() => void queries.resetQueries());
  await settle(10);
  expect(screen.queryByRole("alert")).toBeNull();
});
