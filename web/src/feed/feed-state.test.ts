import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { StreamEventsResponse } from "@rightsizer/api/event_service";
import { LossBound } from "@rightsizer/api/stream";
import { describe, expect, test } from "vitest";
import { emptyFeed, type FeedAction, type FeedState, reduceFeed } from "./feed-state";
import { hex, openedAs, sampleEvent, streamMessage } from "./samples";

function messages(list: StreamEventsResponse[]): FeedAction {
  return { do: "messages", messages: list.map((message) => ({ message, at: 1 })) };
}

const event = (number: number) => streamMessage({ case: "event", value: sampleEvent(number) });
const history = (...numbers: number[]): FeedAction => ({
  do: "history",
  at: 0,
  events: numbers.map((n) => sampleEvent(n)),
});

function run(actions: FeedAction[], cap?: number): FeedState {
  return actions.reduce((state, action) => reduceFeed(state, action, cap), emptyFeed);
}

const keys = (state: FeedState) => state.rows.map((row) => row.key);

describe("events", () => {
  test("history comes newest first and is kept oldest first; the stream follows it", () => {
    const state = run([history(3, 2, 1), messages([openedAs("resumed"), event(4), event(5)])]);
    expect(keys(state)).toEqual([1, 2, 3, 4, 5].map(hex));
    expect(state.loaded).toBe(true);
    expect(state.received).toBe(2);
  });

  test("what a row shows is found in its text", () => {
    const [row] = run([messages([event(1)])]).rows;
    expect(row?.text).toContain("shop/api");
  });

  test("one id is one row, wherever it comes from", () => {
    const state = run([
      history(2, 1),
      messages([event(2), event(3), event(3)]),
      messages([event(1)]),
    ]);
    expect(keys(state)).toEqual([1, 2, 3].map(hex));
    expect(state.received).toBe(1);
  });

  test("the cap lets the oldest go, counts them, and forgets their ids", () => {
    const state = run([messages([1, 2, 3, 4, 5].map(event))], 3);
    expect(keys(state)).toEqual([3, 4, 5].map(hex));
    expect(state.dropped).toBe(2);
    expect([...state.ids]).toEqual([3, 4, 5].map(hex));
  });

  test("the reducer changes nothing that it was given", () => {
    const before = run([history(1)]);
    const copy = structuredClone({ ids: [...before.ids], rows: before.rows.length });
    reduceFeed(before, messages([event(2)]));
    expect({ ids: [...before.ids], rows: before.rows.length }).toEqual(copy);
  });
});

describe("pause", () => {
  test("holds what comes, in order, and lets go of it", () => {
    const paused = run([history(1), { do: "pause", paused: true }, messages([event(2), event(3)])]);
    expect(keys(paused)).toEqual([hex(1)]);
    expect(paused.held).toHaveLength(2);
    const again = reduceFeed(paused, messages([event(2)]));
    expect(again.held).toHaveLength(2);
    const on = reduceFeed(again, { do: "pause", paused: false });
    expect(keys(on)).toEqual([1, 2, 3].map(hex));
    expect(on.held).toHaveLength(0);
  });

  test("does not hold the history back, which would look like an empty cluster", () => {
    const state = run([{ do: "pause", paused: true }, { do: "restart" }, history(2, 1)]);
    expect(keys(state)).toEqual([1, 2].map(hex));
    expect(state.paused).toBe(true);
  });

  test("a new filter keeps the pause and nothing else", () => {
    const state = run([history(1), { do: "pause", paused: true }, { do: "restart" }]);
    expect(state).toEqual({ ...emptyFeed, paused: true });
  });
});

describe("what is missing is said", () => {
  const lost = (exact: boolean, bound: LossBound) =>
    streamMessage({ case: "lost", value: { count: 12n, exact, bound, from: "p1", to: "p2" } });

  test.each([
    [true, LossBound.EXACT, LossBound.EXACT],
    [false, LossBound.AT_MOST, LossBound.AT_MOST],
    [false, LossBound.AT_LEAST, LossBound.AT_LEAST],
    [false, LossBound.ESTIMATE, LossBound.ESTIMATE],
    // From an operator that does not know the field.
    [true, LossBound.UNSPECIFIED, LossBound.EXACT],
    [false, LossBound.UNSPECIFIED, LossBound.ESTIMATE],
  ])("lost: exact %s, bound %s: %s", (exact, told, bound) => {
    const state = run([messages([openedAs("gap"), lost(exact, told), event(9)])]);
    expect(state.rows[0]?.mark).toEqual({ kind: "lost", count: 12n, bound });
    expect(state.note).toEqual({ kind: "lost", count: 12n, bound });
    expect(state.rows).toHaveLength(2);
  });

  test("resync leaves a mark with what was not watched", () => {
    const since = timestampFromMs(5);
    const value = { scope: "pods", reason: "watch expired", since };
    const state = run([messages([streamMessage({ case: "resync", value })])]);
    expect(state.rows[0]?.mark).toMatchObject({
      kind: "resync",
      scope: "pods",
      since: { nanos: 5e6 },
    });
  });

  test("a reset leaves a mark where there was something before it", () => {
    const first = run([messages([openedAs("reset", "no position"), event(1)])]);
    expect(first.rows.some((row) => row.mark)).toBe(false);
    const second = reduceFeed(
      first,
      messages([openedAs("reset", "another epoch"), event(1), event(2)]),
    );
    expect(second.rows.map((row) => row.mark?.kind ?? row.key)).toEqual([hex(1), "reset", hex(2)]);
    expect(second.note).toEqual({ kind: "reset" });
  });

  test("resuming says so the second time only", () => {
    const first = run([history(1), messages([openedAs("resumed")])]);
    expect(first.note).toBeUndefined();
    expect(reduceFeed(first, messages([openedAs("resumed")])).note).toEqual({ kind: "resumed" });
  });
});

test("incidents are counted, heartbeats and closing change no row", () => {
  const state = run([
    messages([
      streamMessage({ case: "incident", value: { id: hex(1) } }),
      streamMessage({ case: "heartbeat", value: { position: "p3" } }),
      streamMessage({ case: "synced", value: { position: "p4" } }),
      streamMessage({ case: "closing", value: { reason: "Shutdown", position: "p5" } }),
    ]),
  ]);
  expect(state.incidents).toBe(1);
  expect(state.rows).toHaveLength(0);
  expect(state.loaded).toBe(true);
});
