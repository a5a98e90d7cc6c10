import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { Paged } from "./paged";

afterEach(cleanup);

function show(number: number, shown: number, next = "") {
  const back = vi.fn();
  render(
    <Paged
      pages={{ token: "", number, next: () => {}, back }}
      shown={shown}
      pageSize={50}
      next={next}
      what="workload"
      stale={false}
      nothing="No workloads"
    >
      rows
    </Paged>,
  );
  return back;
}

test("where there is nothing at all that is said, without pages", () => {
  show(0, 0);
  expect(screen.getByText("No workloads")).toBeTruthy();
  expect(screen.queryByRole("navigation")).toBeNull();
});

test("a later page whose rows went leads back", () => {
  const back = show(1, 0);
  expect(screen.getByRole("status").textContent).toBe("Nothing more on this page");
  expect(screen.queryByText("No workloads")).toBeNull();
  fireEvent.click(screen.getByRole("button", { name: "Previous" }));
  expect(back).toHaveBeenCalledOnce();
});

test("an empty page with more behind it leads on", () => {
  show(0, 0, "on");
  expect(screen.queryByText("No workloads")).toBeNull();
  expect(screen.getByRole<HTMLButtonElement>("button", { name: "Next" }).disabled).toBe(false);
});

test("a page says which rows it has", () => {
  show(1, 3);
  expect(screen.getByRole("status").textContent).toBe("51 to 53");
  expect(screen.getByText("rows")).toBeTruthy();
});
