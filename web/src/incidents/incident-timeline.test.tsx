import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { EventSchema } from "@rightsizer/api/event";
import { EventService, type ListEventsRequest } from "@rightsizer/api/event_service";
import { IncidentSchema } from "@rightsizer/api/incident";
import { RemediationService } from "@rightsizer/api/remediation_service";
import { QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { newQueryClient } from "../app/queries";
import { IncidentTimeline } from "./incident-timeline";
import { entryCap, merge } from "./merge";

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

function show(actions: () => object, events: (request: ListEventsRequest) => object = ofNode) {
  const transport = createRouterTransport(({ service }) => {
    service(EventService, { listEvents: events });
    service(RemediationService, { listRemediations: actions });
  });
  render(
    <TransportProvider transport={transport}>
      <QueryClientProvider client={newQueryClient()}>
        <IncidentTimeline incident={incident} />
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
    ...Array.from({ length: entryCap + 9 }, (_, i) => event(i + 2, "p")),
  ];
  const { entries, left } = merge(incident, many, []);
  expect(entries).toHaveLength(entryCap);
  expect(left).toBe(10);
  expect(entries[0]?.key).toBe("e1");
  expect(entries.at(-1)?.key).toBe(`e${entryCap + 10}`);
  show(
    () => ({}),
    () => ({ events: many }),
  );
  expect(await screen.findByText(/^10 more are left out/)).toBeTruthy();
});
