import { act, cleanup, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Announcer } from "./announcer";
import { emptyFeed, type FeedState, reduceFeed } from "./feed-state";
import { sampleEvent, streamMessage } from "./samples";

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

function more(state: FeedState, count: number): FeedState {
  const messages = Array.from({ length: count }, (_, index) => ({
    message: streamMessage({ case: "event", value: sampleEvent(state.received + index + 1) }),
    at: Date.now(),
  }));
  return reduceFeed(state, { do: "messages", messages });
}

// Passes seconds with so many events in each, and returns what was said, in order.
function pass(seconds: number, each: (second: number) => number, from: FeedState = emptyFeed) {
  const { rerender } = render(<Announcer state={from} />);
  const said: string[] = [];
  let state = from;
  for (let second = 0; second < seconds; second++) {
    state = more(state, each(second));
    rerender(<Announcer state={state} />);
    act(() => vi.advanceTimersByTime(1000));
    const text = screen.getByRole("status").textContent ?? "";
    if (text !== (said.at(-1) ?? "")) said.push(text);
  }
  return said;
}

test("a minute of a flood is four sums", () => {
  expect(pass(60, (second) => 20 + second)).toEqual([
    "405 new events",
    "630 new events",
    "855 new events",
    "1,080 new events",
  ]);
});

test("nothing is said while nothing comes, nor while the list is paused", () => {
  expect(pass(60, () => 0)).toEqual([]);
  cleanup();
  expect(pass(60, () => 10, reduceFeed(emptyFeed, { do: "pause", paused: true }))).toEqual([]);
});
