import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { EventSchema } from "@rightsizer/api/event";
import { EventService, type ListEventsRequest } from "@rightsizer/api/event_service";
import { IncidentSchema } from "@rightsizer/api/incident";
import { RemediationService } from "@rightsizer/api/remediation_service";
import { QueryClientProvider } from "@tanstack/react-query";
import {
  createMemoryHistory,
  createRootRoute,
  createRouter,
  RouterProvider,
} from "@tanstack/react-router";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { newQueryClient } from "../app/queries";
import { IncidentTimeline } from "./incident-timeline";
import { eventCap, merge } from "./merge";

afterEach(cleanup);

const web = { kind: "Deployment", name: "web" };
const pod = { problemId: "p", namespace: "shop", workload: web };
const node = { problemId: "n", object: { kind: "Node", name: "worker" } };
const incident = create(IncidentSchema, {
  id: "i",
  rootProblemId: "n",
  members: [node, pod],
  memberCount: 2,
  openedTime: timestampFromMs(1),
});

const event = (at: number, problemId: string) =>
  create(EventSchema, {
    id: `e${at}`,
    problemId,
    message: `at ${at}`,
    occurredTime: timestampFromMs(at),
  });

// What happens to a node is in no namespace: it comes only where its node is asked for.
const ofNode = ({ filter }: ListEventsRequest) => ({
  events: filter?.nodes[0] === "worker" ? [event(2, "n")] : [],
});

function show(
  actions: () => object,
  events: (request: ListEventsRequest) => object = ofNode,
  shown = incident,
) {
  const transport = createRouterTransport(({ service }) => {
    service(EventService, { listEvents: events });
    service(RemediationService, { listRemediations: actions });
  });
  const router = createRouter({
    routeTree: createRootRoute({ component: () => <IncidentTimeline incident={shown} /> }),
    history: createMemoryHistory({ initialEntries: ["/"] }),
  });
  render(
    <TransportProvider transport={transport}>
      <QueryClientProvider client={newQueryClient()}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </TransportProvider>,
  );
}

const deny = () => {
  throw new ConnectError("no", Code.PermissionDenied);
};
const nothing = "Nothing was done about it by the operator.";

test("what happens to a node is among it", async () => {
  show(() => ({}));
  expect(await screen.findByText("at 2")).toBeTruthy();
});

test("that nothing was done is said where all was looked at", async () => {
  show(() => ({}));
  expect(await screen.findByText(nothing)).toBeTruthy();
  expect(await screen.findByText("at 2")).toBeTruthy();
});

test("that more was done than was looked at is said", async () => {
  show(() => ({ nextPageToken: "on" }));
  expect(await screen.findByText("Only the newest 200 actions were looked at.")).toBeTruthy();
  expect(screen.queryByText(nothing)).toBeNull();
});

test("what is denied is said, whichever it is", async () => {
  show(deny, deny);
  expect(await screen.findByText("Actions are not shown: you may not see this.")).toBeTruthy();
  expect(await screen.findByText("Events are not shown: you may not see this.")).toBeTruthy();
  expect(screen.queryByText(/no longer held/)).toBeNull();
});

test("of too many the root and the newest are kept, and the rest counted", async () => {
  const many = [
    event(1, "n"),
    ...Array.from({ length: eventCap + 9 }, (_, i) => event(i + 2, "p")),
  ];
  const { entries, left } = merge(incident, many, []);
  expect(entries).toHaveLength(eventCap);
  expect(left).toBe(10);
  expect(entries[0]?.key).toBe("e1");
  expect(entries.at(-1)?.key).toBe(`e${eventCap + 10}`);
  show(
    () => ({}),
    () => ({ events: many }),
  );
  expect(
    await screen.findByText("10 more events left out: shown are how it began and the newest."),
  ).toBeTruthy();
});

test("the first of what was looked at is not said to be how it began", async () => {
  const many = Array.from({ length: eventCap + 1 }, (_, i) => event(i + 2, "p"));
  show(
    () => ({}),
    () => ({ events: many, nextPageToken: "on" }),
  );
  expect(
    await screen.findByText(/left out: shown are the first of those looked at and the newest\.$/),
  ).toBeTruthy();
});

test("what was done early stays among however many events", async () => {
  const many = Array.from({ length: 3 * eventCap }, (_, i) => event(i + 3, "p"));
  show(
    () => ({
      remediations: [
        {
          namespace: "shop",
          name: "r-1",
          workload: web,
          createTime: timestampFromMs(2),
          action: { kind: "restart_pod" },
        },
      ],
    }),
    () => ({ events: many }),
  );
  expect((await screen.findByRole("link")).getAttribute("href")).toBe("/approvals/shop/r-1");
  expect(await screen.findByText(/^200 more events left out/)).toBeTruthy();
  expect(screen.queryByText(nothing)).toBeNull();
});

test("of problems beyond the list nothing is said to have been left undone", async () => {
  show(() => ({}), ofNode, create(IncidentSchema, { ...incident, memberCount: 5 }));
  expect(await screen.findByText(/the 3 problems beyond the list is not shown/)).toBeTruthy();
  expect(await screen.findByText("at 2")).toBeTruthy();
  expect(screen.queryByText(nothing)).toBeNull();
});
