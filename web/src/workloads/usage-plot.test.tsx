import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { MetricsService } from "@rightsizer/api/metrics_service";
import { QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { newQueryClient } from "../app/queries";
import { UsagePlot } from "./usage-plot";

afterEach(cleanup);

function show(container: string, answer: (metric: string) => object) {
  const transport = createRouterTransport(({ service }) => {
    service(MetricsService, { queryMetrics: ({ metric }) => answer(metric) });
  });
  render(
    <TransportProvider transport={transport}>
      <QueryClientProvider client={newQueryClient()}>
        <UsagePlot
          resource="memory"
          of={{ namespace: "shop", kind: "Deployment", name: "web", container }}
          from={1000}
          to={9000}
          marks={[]}
        />
      </QueryClientProvider>
    </TransportProvider>,
  );
}

test("a workload without pods is not loading for ever", async () => {
  show("", () => ({}));
  expect((await screen.findByRole("status")).textContent).toContain("It has no pods");
});

test("what was not measured is told as that", async () => {
  show("app", () => ({}));
  expect(await screen.findByText(/^Nothing was measured/)).toBeTruthy();
});

test("a limit that is not known does not read as none", async () => {
  show("app", (metric) => {
    if (metric === "container_memory_limit") throw new ConnectError("no", Code.Unavailable);
    return {};
  });
  await screen.findByText(/cannot answer this yet/);
  expect(screen.getByText("limit").parentElement?.textContent).toBe("limit not known");
  expect(screen.getByText("request").parentElement?.textContent).toBe("request –");
});
