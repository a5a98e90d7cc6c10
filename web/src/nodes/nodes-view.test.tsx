import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { ClusterService } from "@rightsizer/api/cluster_service";
import { QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { newQueryClient } from "../app/queries";
import { NodesView } from "./nodes-view";

afterEach(cleanup);

test("nodes that are not renewed are said to be old", async () => {
  let denied = false;
  const transport = createRouterTransport(({ service }) => {
    service(ClusterService, {
      listNodes: () => {
        if (denied) throw new ConnectError("no", Code.PermissionDenied);
        return { nodes: [{ name: "worker-1" }], totalSize: 1 };
      },
    });
  });
  const queries = newQueryClient();
  render(
    <TransportProvider transport={transport}>
      <QueryClientProvider client={queries}>
        <NodesView />
      </QueryClientProvider>
    </TransportProvider>,
  );
  expect(await screen.findByText("worker-1")).toBeTruthy();
  denied = true;
  await act(() => queries.refetchQueries());
  expect(await screen.findByText("Not up to date: you may not see this.")).toBeTruthy();
  expect(screen.getByText("worker-1")).toBeTruthy();
});
