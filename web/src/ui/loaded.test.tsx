import { Code, ConnectError } from "@connectrpc/connect";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { Loaded } from "./loaded";

afterEach(cleanup);

function show(code: Code) {
  const query = { data: "eight", error: new ConnectError("no", code), refetch: vi.fn() };
  render(
    <Loaded query={query} what="figures">
      {(data) => data}
    </Loaded>,
  );
}

test("an answer that is not renewed in time stays, and is said to be old", () => {
  show(Code.DeadlineExceeded);
  expect(screen.getByText("eight")).toBeTruthy();
  expect(screen.getByRole("status").textContent).toContain("Not up to date");
});

test("that nothing is reached is left to the page to say", () => {
  show(Code.Canceled);
  expect(screen.getByText("eight")).toBeTruthy();
  expect(screen.queryByRole("status")).toBeNull();
});

test("that it is gone is the answer", () => {
  show(Code.NotFound);
  expect(screen.queryByText("eight")).toBeNull();
  expect(screen.getByRole("alert").textContent).toContain("Not found");
});
