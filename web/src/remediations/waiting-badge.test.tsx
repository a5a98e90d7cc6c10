import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { HealthState } from "@rightsizer/api/cluster";
import { ClusterService } from "@rightsizer/api/cluster_service";
import { RemediationService } from "@rightsizer/api/remediation_service";
import { QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { newQueryClient } from "../app/queries";
import { NotCounted } from "./not-counted";
import { WaitingBadge } from "./waiting-badge";

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

async function show(answer: { count: number; more?: boolean } | Code) {
  const transport = createRouterTransport(({ service }) => {
    service(ClusterService, { getHealth: () => ({ state: HealthState.OK }) });
    service(RemediationService, {
      listRemediations: () => {
        if (typeof answer === "number") throw new ConnectError("no", answer);
        const remediations = Array.from({ length: answer.count }, (_, i) => ({ name: `r-${i}` }));
        return { remediations, nextPageToken: answer.more ? "on" : "" };
      },
    });
  });
  const { container } = render(
    <TransportProvider transport={transport}>
      <QueryClientProvider client={newQueryClient()}>
        <WaitingBadge />
      </QueryClientProvider>
    </TransportProvider>,
  );
  await act(() => vi.advanceTimersByTimeAsync(50));
  return container.textContent;
}

test.each([
  ["some wait", { count: 2 }, "2 waiting"],
  ["more than a page waits", { count: 100, more: true }, "100+ waiting"],
  ["none waits", { count: 0 }, ""],
  ["there is no answer", Code.Unavailable, "? how many wait is not known"],
  ["it may not be seen", Code.PermissionDenied, "? how many wait is not known"],
  ["the operator has none to offer", Code.Unimplemented, ""],
])("where %s", async (_, answer, says) => {
  expect(await show(answer)).toBe(says);
});

test("what counts them is tried again by itself", async () => {
  const again = vi.fn();
  render(<NotCounted again={again} />);
  await act(() => vi.advanceTimersByTimeAsync(31_000));
  expect(again).toHaveBeenCalledTimes(2);
  expect(screen.getByText("?")).toBeTruthy();
});
