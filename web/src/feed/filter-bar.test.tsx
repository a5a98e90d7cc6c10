import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { useState } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { FeedFilter } from "./filter";
import { FilterBar } from "./filter-bar";

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(console, "error").mockImplementation(() => {}); // happy-dom does not know <search>
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const settle = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));
const noRows = () => [];

// As the router does it: the URL says only a moment later what was chosen.
function Late() {
  const [filter, setFilter] = useState<FeedFilter>({ text: "web" });
  const change = (next: FeedFilter) => setTimeout(() => setFilter(next), 50);
  return (
    <>
      <FilterBar filter={filter} onChange={change} rowsNow={noRows} />
      <output>{filter.text ?? "none"}</output>
    </>
  );
}

function show() {
  render(<Late />);
  const field = screen.getByLabelText<HTMLInputElement>(/^Text/);
  return { field, type: (value: string) => fireEvent.change(field, { target: { value } }) };
}

test("what is typed stands while the URL is behind", async () => {
  const { field, type } = show();
  type("wexb");
  expect(field.value).toBe("wexb");
  await settle(30);
  type("wexyb");
  await settle(30); // the URL says the first of them
  expect(screen.getByRole("status").textContent).toBe("wexb");
  expect(field.value).toBe("wexyb");
  await settle(50);
  expect(screen.getByRole("status").textContent).toBe("wexyb");
  expect(field.value).toBe("wexyb");
});

test("a URL that changes by itself shows in the field", async () => {
  const { field, type } = show();
  type("web-1");
  await settle(60);
  fireEvent.click(screen.getByRole("button", { name: "Clear" }));
  await settle(60);
  expect(field.value).toBe("");
});
