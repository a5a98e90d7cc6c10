import { expect, test } from "vitest";
import { backoff } from "./backoff";

test("doubles from half a second to ten and stays there", () => {
  const latest = () => 1;
  expect([0, 1, 2, 3, 4, 5, 6, 1000].map((n) => backoff(n, latest))).toEqual([
    500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000,
  ]);
});

test("chance moves it within the upper half, never under half a second", () => {
  const earliest = () => 0;
  expect([0, 1, 2, 5].map((n) => backoff(n, earliest))).toEqual([500, 500, 1000, 5000]);
});
