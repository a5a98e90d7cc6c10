import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { HealthState } from "@rightsizer/api/cluster";
import { ClusterService } from "@rightsizer/api/cluster_service";
import { QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { newQueryClient } from "../app/queries";
import { HealthGate } from "./health-gate";
import { progressIn } from "./progress";

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

type Answer = { state: HealthState; reason?: string; component?: string; open?: boolean } | Code;

function show(first: Answer, latency = 0) {
  let answer = first;
  let asked = 0;
  const transport = createRouterTransport(({ service }) => {
    service(ClusterService, {
      async getHealth() {
        asked++;
        if (latency > 0) await new Promise((done) => setTimeout(done, latency));
        if (typeof answer === "number") throw new ConnectError("no", answer);
        const { state, reason = "", component = "kubernetes", open = false } = answer;
        return { state, open, components: [{ component, state, reason }] };
      },
    });
  });
  const queries = newQueryClient();
  render(
    <TransportProvider transport={transport}>
      <QueryClientProvider client={queries}>
        <HealthGate>
          <p>the view</p>
          <input aria-label="Reason" />
        </HealthGate>
      </QueryClientProvider>
    </TransportProvider>,
  );
  return {
    asked: () => asked,
    // Another question of the view finds no operator.
    fails: () =>
      queries
        .fetchQuery({
          queryKey: ["workloads"],
          queryFn: () => Promise.reject(new ConnectError("no", Code.Canceled)),
          retry: false,
        })
        .catch(() => undefined),
    set: (next: Answer) => {
      answer = next;
    },
  };
}

const settle = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));
const reason = "devcluster is building the control plane: 412 of 1380 packages, about 3 min left";

test("until the cluster is there, the page shows why, asks every second, then goes on", async () => {
  const server = show({ state: HealthState.STARTING, reason });
  await settle(10);
  expect(screen.getByRole("status").textContent).toBe(reason);
  expect(screen.getByRole("progressbar").getAttribute("aria-valuenow")).toBe("30");
  expect(screen.queryByText("the view")).toBeNull();
  const before = server.asked();
  await settle(3000);
  expect(server.asked() - before).toBe(3);
  server.set({ state: HealthState.OK });
  await settle(1100);
  expect(screen.getByText("the view")).toBeTruthy();
});

test("who may not see the health keeps the view in an outage, and is told of it", async () => {
  const server = show(Code.PermissionDenied);
  await settle(10);
  const field = screen.getByLabelText<HTMLInputElement>("Reason");
  field.value = "typed";
  server.set(Code.Canceled); // as a connection that fails
  await act(() => server.fails());
  await settle(100);
  expect(screen.getByRole("alert").textContent).toContain("No answer from the operator");
  expect(screen.getByLabelText<HTMLInputElement>("Reason").value).toBe("typed");
  server.set(Code.PermissionDenied);
  await settle(1100);
  expect(screen.queryByRole("alert")).toBeNull();
  expect(screen.getByLabelText<HTMLInputElement>("Reason").value).toBe("typed");
});

test("a view that was shown keeps what is in it while the operator starts anew", async () => {
  const server = show({ state: HealthState.OK });
  await settle(10);
  const field = screen.getByLabelText<HTMLInputElement>("Reason");
  field.value = "typed";
  server.set(Code.Unavailable);
  await settle(6000);
  server.set({ state: HealthState.STARTING, reason });
  await settle(1100);
  expect(screen.getByRole("status").textContent).toContain("The operator is starting");
  expect(screen.getByText(reason)).toBeTruthy();
  expect(screen.queryByRole("progressbar")).toBeNull();
  expect(screen.getByLabelText("Reason")).toBe(field);
  server.set({ state: HealthState.OK });
  await settle(1100);
  expect(screen.queryByRole("status")).toBeNull();
  expect(screen.getByLabelText<HTMLInputElement>("Reason").value).toBe("typed");
});

test("a part that starts beside a working cluster hinders no view", async () => {
  show({ state: HealthState.STARTING, component: "usage" });
  await settle(10);
  expect(screen.getByText("the view")).toBeTruthy();
});

test("an open API is said", async () => {
  show({ state: HealthState.OK, open: true });
  await settle(10);
  expect(screen.getByText(/nobody is asked who he is/)).toBeTruthy();
});

test("an operator that goes away leaves what was there, with the time", async () => {
  const server = show({ state: HealthState.OK });
  await settle(10);
  server.set(Code.Unavailable);
  await settle(6000);
  expect(screen.getByRole("alert").textContent).toContain("No answer from the operator since");
  expect(screen.getByText("the view")).toBeTruthy();
});

test("whoever may not see the health still sees the view", async () => {
  const server = show(Code.PermissionDenied);
  await settle(10);
  expect(screen.getByText("the view")).toBeTruthy();
  expect(screen.queryByRole("alert")).toBeNull();
  await settle(30_000);
  expect(server.asked()).toBe(1); // a no is not asked for every second
});

test("a proxy that knows no operator for a moment is no operator without health", async () => {
  const server = show({ state: HealthState.OK });
  await settle(10);
  server.set(Code.Unimplemented);
  await settle(6000);
  expect(screen.getByRole("alert").textContent).toContain("No answer from the operator since");
  server.set({ state: HealthState.OK });
  await settle(1100);
  expect(screen.queryByRole("alert")).toBeNull();
});

test("no answer at all is no connection, not an empty page, however often it is asked", async () => {
  const server = show(Code.Unavailable, 100);
  await settle(150);
  const alert = screen.getByRole("alert");
  expect(alert.textContent).toContain("No connection to the operator");
  for (let step = 0; step < 40; step++) {
    await settle(50);
    expect(screen.getByRole("alert")).toBe(alert);
    expect(screen.queryByText("the view")).toBeNull();
  }
  expect(server.asked()).toBeGreaterThan(1);
});

test("progress is read where it is written", () => {
  expect(progressIn("1,035 of 1,380 packages")).toBe(0.75);
  expect(progressIn("downloads modules")).toBeUndefined();
  expect(progressIn("3 of 0")).toBeUndefined();
});
