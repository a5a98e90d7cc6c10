import { cleanup, render } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { Histogram } from "./histogram";

afterEach(cleanup);

test("its ends are exact on hover", () => {
  const start = Date.UTC(2026, 10, 24, 12);
  render(<Histogram buckets={[]} start={start} end={start + 60_000} knownFrom={start} label="" />);
  expect([...document.querySelectorAll("time")].map(({ title }) => title)).toEqual([
    expect.stringContaining("2026-11-24T12:00:00.000Z"),
    expect.stringContaining("2026-11-24T12:01:00.000Z"),
  ]);
});
