import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { explain, explainOffered, explainOnce } from "./failure";

test("an answer that takes too long is not a lost connection", () => {
  const late = explain(new ConnectError("late", Code.DeadlineExceeded));
  expect(late).toMatchObject({ kind: "slow", passing: true });
  expect(
    explain(new ConnectError("x", Code.Internal, undefined, undefined, new TypeError())),
  ).toEqual(expect.objectContaining({ kind: "unreachable", detail: "" }));
});

test("what every operator offers is never missing for good", () => {
  const none = new ConnectError("HTTP 404", Code.Unimplemented);
  expect(explain(none)).toMatchObject({ kind: "absent", passing: false });
  expect(explainOffered(none)).toMatchObject({
    kind: "unreachable",
    passing: true,
    detail: "HTTP 404",
  });
  const denied = new ConnectError("no", Code.PermissionDenied);
  expect(explainOffered(denied)).toEqual(explain(denied));
});

test("what a person sends is not said to be tried again, nor to be undone", () => {
  const late = new ConnectError("late", Code.DeadlineExceeded);
  expect(explain(late).advice).toMatch(/The page keeps trying\.$/);
  expect(explainOnce(late).advice).toMatch(/Try again in a moment\.$/);
  expect(explainOnce(late, { keyed: true }).advice).toContain("Whether it was done is not known");
  const full = new ConnectError("full", Code.ResourceExhausted);
  expect(explainOnce(full, { keyed: true }).advice).toMatch(/Try again in a moment\.$/);
  const denied = new ConnectError("no", Code.PermissionDenied);
  expect(explainOnce(denied).title).toBe("You may not do this");
  expect(explain(denied).title).toBe("You may not see this");
  const refused = new ConnectError("change a filter", Code.FailedPrecondition);
  expect(explainOnce(refused)).toMatchObject({
    title: "This cannot be done as things are",
    detail: "change a filter",
  });
});
