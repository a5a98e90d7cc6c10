import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import {
  type Remediation,
  RemediationSchema,
  RiskLevel,
  RemediationState as State,
} from "@rightsizer/api/remediation";
import {
  type ApproveRemediationRequest,
  type RejectRemediationRequest,
  RemediationService,
} from "@rightsizer/api/remediation_service";
import { onlineManager, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { newQueryClient } from "../app/queries";
import { Decide } from "./decide";

afterEach(() => {
  cleanup();
  onlineManager.setOnline(true);
});

type Fields = Exclude<MessageInitShape<typeof RemediationSchema>, Remediation>;

function waiting(over: Fields = {}): Remediation {
  return create(RemediationSchema, {
    namespace: "shop",
    name: "r-1",
    etag: "7",
    state: State.PENDING_APPROVAL,
    risk: RiskLevel.LOW,
    workload: { kind: "Deployment", name: "web" },
    action: { kind: "restart_pod" },
    ...over,
  });
}

// `now` is what is there by then, where that is not what is shown; `fault` is what an
// approval ends with.
function show(remediation: Remediation, now = remediation, fault?: Code) {
  const approved: ApproveRemediationRequest[] = [];
  const rejected: RejectRemediationRequest[] = [];
  const transport = createRouterTransport(({ service }) => {
    service(RemediationService, {
      approveRemediation: (request) => {
        approved.push(request);
        if (fault) throw new ConnectError("no", fault);
        if (request.etag !== now.etag) throw new ConnectError("another etag", Code.Aborted);
        return { remediation };
      },
      getRemediation: () => ({ remediation: now }),
      rejectRemediation: (request) => {
        rejected.push(request);
        return { remediation };
      },
    });
  });
  render(
    <TransportProvider transport={transport}>
      <QueryClientProvider client={newQueryClient()}>
        <Decide remediation={remediation} pods={3} />
      </QueryClientProvider>
    </TransportProvider>,
  );
  return { approved, rejected };
}

const open = (name: string) => fireEvent.click(screen.getByRole("button", { name }));
const inDialog = (name: string) =>
  screen.getAllByRole<HTMLButtonElement>("button", { name }).find((one) => one.closest("dialog"));

test("an approval carries what was looked at, and is sent once", async () => {
  const { approved } = show(waiting());
  open("Approve");
  const yes = inDialog("Approve");
  expect(yes?.disabled).toBe(false);
  fireEvent.change(screen.getByLabelText(/Reason/), { target: { value: "looks right" } });
  if (yes) fireEvent.click(yes);
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  expect(approved).toHaveLength(1);
  expect(approved[0]).toMatchObject({
    namespace: "shop",
    name: "r-1",
    etag: "7",
    reason: "looks right",
  });
  expect(approved[0]?.requestId).not.toBe("");
  expect(document.activeElement).toBe(screen.getByRole("region", { name: "Decisions" }));
});

test("a decision is made now or not at all, whatever the browser says of the network", async () => {
  onlineManager.setOnline(false);
  const { approved } = show(waiting());
  open("Approve");
  const yes = inDialog("Approve");
  if (yes) fireEvent.click(yes);
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  onlineManager.setOnline(true);
  expect(approved).toHaveLength(1);
});

test.each([RiskLevel.HIGH, RiskLevel.CRITICAL])(
  "risk %s is approved by typing the workload's name",
  async (risk) => {
    const { approved } = show(waiting({ risk }));
    open("Approve");
    const yes = inDialog("Approve");
    expect(yes?.disabled).toBe(true);
    fireEvent.change(screen.getByLabelText(/to confirm/), { target: { value: "wed" } });
    expect(yes?.disabled).toBe(true);
    fireEvent.change(screen.getByLabelText(/to confirm/), { target: { value: "web" } });
    expect(yes?.disabled).toBe(false);
    if (yes) fireEvent.click(yes);
    await waitFor(() => expect(approved).toHaveLength(1));
  },
);

test("saying no wants a reason, and no typing", async () => {
  const { rejected } = show(waiting({ risk: RiskLevel.CRITICAL }));
  open("Reject");
  const no = inDialog("Reject");
  expect(no?.disabled).toBe(true);
  expect(screen.queryByLabelText(/to confirm/)).toBeNull();
  fireEvent.change(screen.getByLabelText(/Reason/), { target: { value: "not now" } });
  if (no) fireEvent.click(no);
  await waitFor(() => expect(rejected).toHaveLength(1));
});

test.each([
  ["is decided by somebody else", { state: State.APPROVED }],
  ["is another one of that name", { uid: "another" }],
])("what %s meanwhile is said, and nothing is closed", async (_, over) => {
  const { approved } = show(waiting(), waiting({ etag: "8", ...over }));
  open("Approve");
  const yes = inDialog("Approve");
  if (yes) fireEvent.click(yes);
  const alert = await screen.findByRole("alert");
  expect(alert.textContent).toContain("It changed in the meantime");
  expect(screen.getByRole("dialog")).toBeTruthy();
  expect(approved).toHaveLength(1);
});

test("a cause that joins meanwhile does not get in the way", async () => {
  const { approved } = show(waiting(), waiting({ etag: "8" }));
  open("Approve");
  const yes = inDialog("Approve");
  if (yes) fireEvent.click(yes);
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  expect(approved.map(({ etag }) => etag)).toEqual(["7", "8"]);
  expect(approved[0]?.requestId).toBe(approved[1]?.requestId);
});

test("that a decision may have been made all the same is said, and its text stays", async () => {
  show(waiting(), waiting(), Code.DeadlineExceeded);
  open("Approve");
  const yes = inDialog("Approve");
  if (yes) fireEvent.click(yes);
  const alert = await screen.findByRole("alert");
  expect(alert.textContent).toContain("Whether it was done is not known");
  expect(alert.textContent).not.toContain("keeps trying");
  expect(screen.getByLabelText<HTMLTextAreaElement>(/as it was sent/).readOnly).toBe(true);
});

test.each([
  [State.PENDING_APPROVAL, ["Approve", "Reject", "Cancel"]],
  [State.APPROVED, ["Cancel"]],
  [State.EXECUTING, []],
  [State.SUCCEEDED, ["Roll back"]],
  [State.REJECTED, []],
])("in state %s a person may do what makes sense", (state, names) => {
  show(waiting({ state }));
  const found = screen.getAllByRole("button").map(({ textContent }) => textContent);
  expect(found).toEqual([...names, "Dry run it now"]);
});
