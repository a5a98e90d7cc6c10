import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { EventSchema } from "@rightsizer/api/event";
import { RemediationSchema, RiskLevel } from "@rightsizer/api/remediation";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { RiskCard } from "./risk-card";

afterEach(cleanup);

const remediation = create(RemediationSchema, {
  risk: RiskLevel.LOW,
  workload: { kind: "Deployment", name: "web" },
});
const denied = new ConnectError("no", Code.PermissionDenied);
const blocking = create(EventSchema, {
  id: "1",
  object: { name: "web-budget" },
  details: { case: "pdb", value: { currentHealthy: 2, desiredHealthy: 2, expectedPods: 2 } },
});

test("while budgets load nothing is said of them", () => {
  render(<RiskCard remediation={remediation} problems={undefined} error={null} />);
  expect(screen.getByText("Loading the disruption budgets")).toBeTruthy();
  expect(screen.queryByText(/PodDisruptionBudget/)).toBeNull();
});

test("budgets that may not be seen are not known", () => {
  render(<RiskCard remediation={remediation} problems={undefined} error={denied} />);
  expect(screen.getByRole("status").textContent).toBe(
    "Whether a PodDisruptionBudget stands against it is not known: you may not see this.",
  );
  expect(screen.queryByText(/No PodDisruptionBudget/)).toBeNull();
});

test("an answer of before is told to be one", () => {
  render(<RiskCard remediation={remediation} problems={[blocking]} error={denied} />);
  expect(screen.getByRole("status").textContent).toContain("not up to date");
  expect(screen.getByText("web-budget")).toBeTruthy();
});

test("a budget that cannot count its pods gives no numbers", () => {
  const failed = create(EventSchema, { ...blocking, reason: "SyncFailed" });
  render(<RiskCard remediation={remediation} problems={[failed]} error={null} />);
  expect(screen.getByText(/allows 0 evictions, since its pods cannot be counted\./)).toBeTruthy();
  expect(screen.queryByText(/must be/)).toBeNull();
});

test("no blocking budget is no promise", () => {
  render(<RiskCard remediation={remediation} problems={[]} error={null} />);
  const said = screen.getByText(/only after ten minutes/);
  expect(said.parentElement?.querySelector("svg")).toBeNull();
});

test("what has no workload has no budget", () => {
  const node = create(RemediationSchema, { riskReasons: ["of a node"] });
  render(<RiskCard remediation={node} problems={undefined} error={null} />);
  expect(screen.queryByText(/Budget|budget/)).toBeNull();
});
