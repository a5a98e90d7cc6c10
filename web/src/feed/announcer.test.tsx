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
  const { rerender } = render(<Announcer state={from} text="" />);
  const said = [""];
  let state = from;
  for (let step = 0; step < seconds * 10; step++) {
    if (step % 10 === 0) {
      state = more(state, each);
      rerender(<Announcer state={state} text="" />);
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

// What is said after each of these, 16 seconds apart.
function after(...steps: [state: FeedState, text?: string][]) {
  const [[first] = [emptyFeed]] = steps;
  const { rerender } = render(<Announcer state={first} text="" />);
  return steps.map(([state, text = ""]) => {
    rerender(<Announcer state={state} text={text} />);
    act(() => vi.advanceTimersByTime(16_000));
    return screen.getByRole("status").textContent;
  });
}

test("what comes first after a changed filter is told", () => {
  const { rerender } = render(<Announcer state={emptyFeed} text="" />);
  const many = more(emptyFeed, 100);
  rerender(<Announcer state={many} text="" />);
  act(() => vi.advanceTimersByTime(16_000));
  const anew = reduceFeed(many, { do: "restart" });
  rerender(<Announcer state={anew} text="" />);
  rerender(<Announcer state={more(anew, 3)} text="" />);
  act(() => vi.advanceTimersByTime(16_000));
  expect(screen.getByRole("status").textContent).toBe("3 new events");
});

test("what a pause held is told once it shows", () => {
  const paused = more(reduceFeed(emptyFeed, { do: "pause", paused: true }), 7);
  const resumed = reduceFeed(paused, { do: "pause", paused: false });
  expect(after([emptyFeed], [paused], [resumed])).toEqual(["", "", "7 new events"]);
});

test("only what the text lets through is told", () => {
  const [one, two] = [more(emptyFeed, 3), more(emptyFeed, 6)];
  expect(after([emptyFeed], [one, "nothing has this"], [two, "api-5"])).toEqual([
    "",
    "",
    "1 new event",
  ]);
});
