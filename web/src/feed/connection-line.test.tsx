import { LossBound } from "@rightsizer/api/stream";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { failure } from "../api/failure";
import { ConnectionLine } from "./connection-line";
import type { Connection } from "./feed-state";

afterEach(cleanup);

test("counts down for the eye and stays still for the ear", () => {
  const retryAt = Date.now() + 3200;
  render(
    <ConnectionLine
      connection={{ state: "waiting", attempt: 1, retryAt, failure: failure("unreachable") }}
      note={undefined}
      retry={vi.fn()}
    />,
  );
  expect(screen.getByRole("status").textContent).toContain("reconnecting");
  expect(screen.getByRole("status").textContent).not.toMatch(/\d/);
  expect(screen.getByText("in 4 s").getAttribute("aria-hidden")).toBe("true");
});

test("an outage is said once, however often the operator is asked anew", () => {
  const why = failure("unreachable");
  const waiting = {
    state: "waiting",
    attempt: 1,
    retryAt: Date.now() + 500,
    failure: why,
  } as const;
  const line = (connection: Connection) => (
    <ConnectionLine connection={connection} note={undefined} retry={vi.fn()} />
  );
  const { rerender } = render(line({ state: "live" }));
  const status = screen.getByRole("status");
  rerender(line(waiting));
  const said = status.textContent;
  rerender(line({ state: "connecting", attempt: 1, failure: why }));
  expect(status.textContent).toBe(said);
  rerender(line({ ...waiting, attempt: 2 }));
  expect(status.textContent).toBe(said);
  rerender(line({ state: "live" }));
  expect(status.textContent).toContain("Live");
  expect(screen.getByRole("status")).toBe(status);
});

test("says what became of the gap", () => {
  const { rerender } = render(
    <ConnectionLine connection={{ state: "live" }} note={{ kind: "resumed" }} retry={vi.fn()} />,
  );
  expect(screen.getByRole("status").textContent).toContain("resumed without loss");
  rerender(
    <ConnectionLine
      connection={{ state: "live" }}
      note={{ kind: "lost", count: 1204n, bound: LossBound.AT_MOST }}
      retry={vi.fn()}
    />,
  );
  expect(screen.getByRole("status").textContent).toContain("Live, with losses");
  expect(screen.getByText("at most 1,204 events lost")).toBeTruthy();
});

test("a reader that falls behind hears of it once, not of each loss", () => {
  const line = (count: bigint) => (
    <ConnectionLine
      connection={{ state: "live" }}
      note={{ kind: "lost", count, bound: LossBound.EXACT }}
      retry={vi.fn()}
    />
  );
  const { rerender } = render(line(3n));
  const said = screen.getByRole("status").textContent;
  rerender(line(40n));
  expect(screen.getByRole("status").textContent).toBe(said);
  expect(screen.getByText("40 events lost")).toBeTruthy();
});
