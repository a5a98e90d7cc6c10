import { LossBound } from "@rightsizer/api/stream";
import { cleanup, render } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { MarkCell } from "./mark-cell";

afterEach(cleanup);

test("when something was lost is exact on hover", () => {
  const at = Date.UTC(2026, 10, 24, 12);
  render(<MarkCell mark={{ kind: "lost", count: 3n, bound: LossBound.EXACT }} at={at} />);
  expect(document.querySelector("time")?.title).toContain("2026-11-24T12:00:00.000Z");
});
