import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { HealthState } from "@rightsizer/api/cluster";
import { ClusterService } from "@rightsizer/api/cluster_service";
import { QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { newQueryClient } from "../app/queries";
import { ClusterHeader } from "./cluster-header";

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

test("figures that could not be renewed stay, and are said to be old", async () => {
  let denied = false;
  const transport = createRouterTransport(({ service }) => {
    service(ClusterService, {
      getHealth: () => ({ state: HealthState.OK }),
      getCluster() {
        if (denied) throw new ConnectError("no", Code.PermissionDenied);
        return { cluster: { nodes: 3, readyNodes: 3 } };
      },
    });
  });
  render(
    <TransportProvider transport={transport}>
      <QueryClientProvider client={newQueryClient()}>
        <ClusterHeader />
      </QueryClientProvider>
    </TransportProvider>,
  );
  await act(() => vi.advanceTimersByTimeAsync(20));
  expect(screen.getByText("3 of 3")).toBeTruthy();
  expect(screen.queryByRole("status")).toBeNull();
  denied = true;
  await act(() => vi.advanceTimersByTimeAsync(10_100));
  expect(screen.getByText("3 of 3")).toBeTruthy();
  expect(screen.getByRole("status").textContent).toContain("Not up to date");
});
