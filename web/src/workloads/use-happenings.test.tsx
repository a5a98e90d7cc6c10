import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { EventService, ListEventsResponseSchema } from "@rightsizer/api/event_service";
import { MetricsService, QueryMetricsResponseSchema } from "@rightsizer/api/metrics_service";
import { RemediationService } from "@rightsizer/api/remediation_service";
import { Severity } from "@rightsizer/api/severity";
import { QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, renderHook, screen, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, expect, test } from "vitest";
import { newQueryClient } from "../app/queries";
import { Happenings } from "./happenings";
import { Legend } from "./legend";
import { useHappenings } from "./use-happenings";
import { useUsage } from "./use-usage";

afterEach(cleanup);

const from = 1000;
const never = new Promise<never>(() => {});
const web = { namespace: "shop", kind: "Deployment", name: "web" };

type Answer = () => object | Promise<object>;

// What has no answer of its own is never answered.
function server(answers: {
  events?: (workload: string, from: number) => object | Promise<object>;
  actions?: Answer;
  usage?: (container: string, from: number) => object | Promise<object>;
}) {
  const transport = createRouterTransport(({ service }) => {
    service(EventService, {
      listEvents: ({ filter, startTime }) =>
        answers.events?.(filter?.workloads[0] ?? "", Number(startTime?.seconds)) ?? never,
    });
    service(RemediationService, { listRemediations: () => answers.actions?.() ?? never });
    service(MetricsService, {
      queryMetrics: ({ filter, startTime }) =>
        answers.usage?.(filter?.container ?? "", Number(startTime?.seconds)) ?? never,
    });
  });
  const client = newQueryClient();
  return ({ children }: { children: ReactNode }) => (
    <TransportProvider transport={transport}>
      <QueryClientProvider client={client}>{children}</QueryClientProvider>
    </TransportProvider>
  );
}

function All() {
  const props = useHappenings(web, from);
  return (
    <>
      <Legend {...props} />
      <Happenings {...props} />
    </>
  );
}

const killed = (nextPageToken = "") =>
  create(ListEventsResponseSchema, {
    events: [
      {
        id: "1",
        type: "pod.oom_killed",
        severity: Severity.ERROR,
        message: "out of memory",
        occurredTime: timestampFromMs(2000),
      },
    ],
    nextPageToken,
  });

const deny = () => {
  throw new ConnectError("no", Code.PermissionDenied);
};
const none = "None in this time that is still held.";

test("while it loads nothing is said to be missing", async () => {
  render(<All />, { wrapper: server({ events: () => ({}) }) });
  expect(screen.getByText("Loading events and actions")).toBeTruthy();
  await screen.findByText(/OOM kill or crash \(0\)/);
  expect(screen.queryByText(none)).toBeNull();
  expect(screen.getByText(/Action of the operator \(…\)/)).toBeTruthy();
});

test("nothing is said to be there where both answers say so", async () => {
  render(<All />, { wrapper: server({ events: () => ({}), actions: () => ({}) }) });
  expect(await screen.findByText(none)).toBeTruthy();
});

test("denied actions are told beside the events", async () => {
  render(<All />, { wrapper: server({ events: () => killed(), actions: deny }) });
  expect(await screen.findByText("Actions are not shown: you may not see this.")).toBeTruthy();
  expect(await screen.findByText("out of memory")).toBeTruthy();
  expect(screen.getByText(/Action of the operator \(not known\)/)).toBeTruthy();
});

test("what lies beyond the page is told", async () => {
  render(<All />, { wrapper: server({ events: () => killed("on"), actions: () => ({}) }) });
  expect(await screen.findByText("Only the newest 200 events were looked at.")).toBeTruthy();
  expect(screen.getByText(/OOM kill or crash \(1 or more\)/)).toBeTruthy();
});

test("events of another workload do not stand for this one's; those of before do", async () => {
  const wrapper = server({
    actions: () => ({}),
    events: (workload, start) => (workload === "Deployment/web" && start === 1 ? killed() : never),
  });
  const { result, rerender } = renderHook(({ name, at }) => useHappenings({ ...web, name }, at), {
    wrapper,
    initialProps: { name: "web", at: 1000 },
  });
  await waitFor(() => expect(result.current.happenings).toHaveLength(1));
  rerender({ name: "web", at: 2000 });
  expect(result.current.happenings).toHaveLength(1);
  rerender({ name: "db", at: 2000 });
  expect(result.current.happenings).toHaveLength(0);
  expect(result.current.events.known).toBe(false);
});

test("use of another container does not stand for this one's; that of before does", async () => {
  const series = create(QueryMetricsResponseSchema, {
    series: [{ points: [{ time: timestampFromMs(2000), value: 5 }] }],
  });
  const wrapper = server({
    usage: (container, start) => (container === "app" && start === 1 ? series : never),
  });
  const { result, rerender } = renderHook(
    ({ container, at }) => useUsage("cpu", { ...web, container }, at, 9000),
    { wrapper, initialProps: { container: "app", at: 1000 } },
  );
  await waitFor(() => expect(result.current.lines.every(Boolean)).toBe(true));
  rerender({ container: "app", at: 2000 });
  expect(result.current.lines.every(Boolean)).toBe(true);
  rerender({ container: "sidecar", at: 2000 });
  expect(result.current.lines.some(Boolean)).toBe(false);
});
