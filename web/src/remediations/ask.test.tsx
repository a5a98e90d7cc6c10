import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { RemediationActionSchema, RemediationState as State } from "@rightsizer/api/remediation";
import {
  type CreateRemediationRequest,
  RemediationService,
} from "@rightsizer/api/remediation_service";
import { QueryClientProvider } from "@tanstack/react-query";
import {
  createMemoryHistory,
  createRootRoute,
  createRouter,
  RouterProvider,
} from "@tanstack/react-router";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { newQueryClient } from "../app/queries";
import { DryRunButton } from "./dry-run";

afterEach(cleanup);

const wanted = {
  namespace: "shop",
  kind: "Deployment",
  name: "web",
  container: "app",
  action: create(RemediationActionSchema, {
    kind: "resize_in_place",
    limits: { memoryBytes: 1_048_576n },
  }),
};

const Asking = () => <DryRunButton wanted={wanted} label="Dry run this" ask />;
const Showing = () => <DryRunButton wanted={wanted} label="Dry run this" />;

function show(answer: (request: CreateRemediationRequest) => State, ask = true) {
  const asked: CreateRemediationRequest[] = [];
  const transport = createRouterTransport(({ service }) => {
    service(RemediationService, {
      createRemediation: (request) => {
        asked.push(request);
        const { namespace, action } = request;
        return {
          remediation: {
            namespace,
            name: "r-1",
            state: answer(request),
            ...(action && { action }),
          },
        };
      },
    });
  });
  const router = createRouter({
    routeTree: createRootRoute({ component: ask ? Asking : Showing }),
    history: createMemoryHistory({ initialEntries: ["/"] }),
  });
  render(
    <TransportProvider transport={transport}>
      <QueryClientProvider client={newQueryClient()}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </TransportProvider>,
  );
  return asked;
}

const waits = ({ validateOnly }: CreateRemediationRequest) =>
  validateOnly ? State.DRY_RUN : State.PENDING_APPROVAL;

test("what was dry-run is asked for as it was, once, with a reason", async () => {
  const asked = show(waits);
  fireEvent.click(await screen.findByRole("button", { name: "Dry run this" }));
  const reason = await screen.findByLabelText(/Reason/);
  expect(asked.map(({ validateOnly }) => validateOnly)).toEqual([true]);
  fireEvent.change(reason, { target: { value: " a campaign begins " } });
  fireEvent.click(screen.getByRole("button", { name: "Ask for it" }));
  const link = await screen.findByRole("link", { name: "See what becomes of it" });
  expect(link.getAttribute("href")).toBe("/approvals/shop/r-1");
  expect(asked).toHaveLength(2);
  expect(asked[1]).toMatchObject({
    ...wanted,
    validateOnly: false,
    reason: "a campaign begins",
  });
  expect(asked[1]?.requestId).not.toBe("");
});

test("what may be asked for already keeps its key and its text", async () => {
  let failures = 1;
  const asked = show((request) => {
    if (!request.validateOnly && failures-- > 0) throw new ConnectError("no", Code.Unavailable);
    return waits(request);
  });
  fireEvent.click(await screen.findByRole("button", { name: "Dry run this" }));
  const reason = await screen.findByLabelText<HTMLTextAreaElement>(/Reason/);
  expect(reason.readOnly).toBe(false);
  fireEvent.click(await screen.findByRole("button", { name: "Ask for it" }));
  await screen.findByRole("alert");
  // The server refuses another text under the same key.
  expect(reason.readOnly).toBe(true);
  expect(screen.getByLabelText(/as it was sent/)).toBe(reason);
  fireEvent.click(screen.getByRole("button", { name: "Ask for it" }));
  await screen.findByRole("link", { name: "See what becomes of it" });
  expect(asked[1]?.requestId).toBe(asked[2]?.requestId);
});

test("what was refused may be asked for with another text", async () => {
  show((request) => {
    if (!request.validateOnly) throw new ConnectError("no", Code.FailedPrecondition);
    return waits(request);
  });
  fireEvent.click(await screen.findByRole("button", { name: "Dry run this" }));
  fireEvent.click(await screen.findByRole("button", { name: "Ask for it" }));
  await screen.findByRole("alert");
  expect(screen.getByLabelText<HTMLTextAreaElement>(/Reason/).readOnly).toBe(false);
});

test("where it is shown only, nothing can be asked for", async () => {
  show(waits, false);
  fireEvent.click(await screen.findByRole("button", { name: "Dry run this" }));
  await screen.findByText("Nothing was changed.");
  expect(screen.queryByRole("button", { name: "Ask for it" })).toBeNull();
});
