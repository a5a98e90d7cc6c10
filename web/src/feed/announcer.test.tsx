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
function pass(seconds: number, each: number, from: FeedState = emptyFeed) {
  const { rerender } = render(<Announcer state={from} />);
  const said = [""];
  let state = from;
  for (let step = 0; step < seconds * 10; step++) {
    if (step % 10 === 0) {
      state = more(state, each);
      rerender(<Announcer state={state} />);
    }
    act(() => vi.advanceTimersByTime(100));
    const text = screen.getByRole("status").textContent ?? "";
    if (text !== said.at(-1)) said.push(text);
  }
  return said.filter((text) => text !== "");
}

test("a flood is a sum every 15 seconds, also where it is the same again", () => {
  expect(pass(61, 100)).toEqual(Array.from({ length: 4 }, () => "1,500 new events"));
});

test("nothing is said while nothing comes, nor while the list is paused", () => {
  expect(pass(60, 0)).toEqual([]);
  cleanup();
  expect(pass(60, 10, reduceFeed(emptyFeed, { do: "pause", paused: true }))).toEqual([]);
});
