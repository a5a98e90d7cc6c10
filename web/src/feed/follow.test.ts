import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import {
  EventService,
  type StreamEventsRequest,
  type StreamEventsResponse,
} from "@rightsizer/api/event_service";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Connection, Received } from "./feed-state";
import { follow, silenceLimit } from "./follow";
import { openedAs, sampleEvent, streamMessage } from "./samples";

type Stream = (
  request: StreamEventsRequest,
  signal: AbortSignal,
) => AsyncIterable<StreamEventsResponse>;

const ended = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

// start follows a server that answers each attempt with the next of `streams`,
// and the last of them from then on.
function start(
  streams: Stream[],
  cursor = { position: "", history: false },
  lists = vi.fn(() => ({ events: [sampleEvent(1)], newest: "p1" })),
) {
  const asked: StreamEventsRequest[] = [];
  const states: Connection[] = [];
  const received: Received[] = [];
  const transport = createRouterTransport(({ service }) => {
    service(EventService, {
      listEvents: lists,
      streamEvents: (request, { signal }) => {
        asked.push(request);
        const stream = streams[Math.min(asked.length, streams.length) - 1];
        if (!stream) throw new Error("no stream");
        return stream(request, signal);
      },
    });
  });
  const controller = new AbortController();
  const done = follow({
    client: createClient(EventService, transport),
    filter: {},
    cursor,
    signal: controller.signal,
    onHistory: () => {},
    onMessage: (message) => received.push(message),
    onConnection: (connection) => states.push(connection),
    random: () => 1,
  });
  return { asked, states, received, lists, cursor, stop: () => controller.abort(), done };
}

const settle = (ms = 0) => vi.advanceTimersByTimeAsync(ms);
const last = <T>(list: T[]) => list[list.length - 1];

test("streams after the newest of the history, and lets go when told", async () => {
  let open = false;
  const run = start([
    async function* (_, signal) {
      open = true;
      yield openedAs("resumed");
      await ended(signal);
      open = false;
    },
  ]);
  await settle();
  expect(run.asked.map((request) => request.after)).toEqual(["p1"]);
  expect(run.states).toEqual([{ state: "connecting", attempt: 0 }, { state: "live" }]);
  run.stop();
  await settle();
  await run.done;
  expect(open).toBe(false);
});

test("reconnects with the position of the last message, the history left alone", async () => {
  const run = start([
    async function* () {
      yield openedAs("resumed");
      yield streamMessage({ case: "event", value: sampleEvent(2) }, "p2");
      yield streamMessage({ case: "heartbeat", value: { position: "p7" } });
      // Moves no position.
      yield streamMessage({ case: "incident", value: { id: "" } });
      throw new ConnectError("gone", Code.Unavailable);
    },
    async function* (_, signal) {
      yield openedAs("resumed");
      await ended(signal);
    },
  ]);
  await settle();
  expect(last(run.states)).toMatchObject({
    state: "waiting",
    attempt: 1,
    retryAt: Date.now() + 500,
  });
  await settle(499);
  expect(run.asked).toHaveLength(1);
  await settle(1);
  expect(run.asked.map((request) => request.after)).toEqual(["p1", "p7"]);
  expect(run.lists).toHaveBeenCalledTimes(1);
  expect(last(run.states)).toEqual({ state: "live" });
  run.stop();
});

test("a server that is away is asked less and less often, never given up", async () => {
  const run = start([
    // biome-ignore lint/correctness/useYield: it fails before the first message
    async function* () {
      throw new ConnectError("away", Code.Unavailable);
    },
  ]);
  await settle();
  const delays: number[] = [];
  for (let i = 0; i < 7; i++) {
    const state = last(run.states);
    if (state?.state !== "waiting") throw new Error(`state ${state?.state}`);
    delays.push(state.retryAt - Date.now());
    await settle(state.retryAt - Date.now());
  }
  expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
  run.stop();
});

test("after a stream that lived, the pause is short again", async () => {
  const away: Stream = async function* () {
    yield* [];
    throw new ConnectError("away", Code.Unavailable);
  };
  const run = start([
    away,
    away,
    away,
    async function* () {
      yield openedAs("resumed");
      await new Promise((resolve) => setTimeout(resolve, 20_000));
      throw new ConnectError("away", Code.Unavailable);
    },
    away,
  ]);
  await settle(500 + 1000 + 2000 + 20_000);
  expect(last(run.states)).toMatchObject({
    state: "waiting",
    attempt: 1,
    retryAt: Date.now() + 500,
  });
  run.stop();
});

test("denied is denied: it is neither retried nor called a lost connection", async () => {
  const run = start([
    async function* () {
      yield* [];
      throw new ConnectError("no", Code.PermissionDenied);
    },
  ]);
  await settle(60_000);
  expect(last(run.states)).toMatchObject({ state: "stopped", failure: { kind: "denied" } });
  expect(run.asked).toHaveLength(1);
  await run.done;
});

test("a proxy that knows no operator for a moment does not end the feed", async () => {
  const run = start([
    async function* () {
      yield* [];
      throw new ConnectError("HTTP 404", Code.Unimplemented);
    },
    async function* (_, signal) {
      yield openedAs("resumed");
      await ended(signal);
    },
  ]);
  await settle();
  expect(last(run.states)).toMatchObject({ state: "waiting", failure: { kind: "unreachable" } });
  await settle(500);
  expect(last(run.states)).toEqual({ state: "live" });
  run.stop();
});

test("the end that the server announces is resumed from the position it gave", async () => {
  const run = start([
    async function* () {
      yield openedAs("resumed");
      yield streamMessage({ case: "closing", value: { reason: "Shutdown", position: "p8" } });
    },
    async function* (_, signal) {
      yield openedAs("resumed");
      await ended(signal);
    },
  ]);
  await settle();
  expect(last(run.states)).toMatchObject({ failure: { detail: "The operator shut down." } });
  await settle(500);
  expect(run.asked[1]?.after).toBe("p8");
  run.stop();
});

function closing(reason: string): Stream {
  return async function* () {
    yield openedAs("resumed");
    yield streamMessage({ case: "closing", value: { reason, position: "p8" } });
  };
}

test.each([
  ["Expired", Code.Unauthenticated, "unauthenticated"],
  ["LoggedOut", Code.Unauthenticated, "unauthenticated"],
  ["Unauthorized", Code.Unauthenticated, "unauthenticated"],
  ["Unauthorized", Code.PermissionDenied, "denied"],
])("whoever is no longer welcome is told why: %s, code %s", async (reason, code, kind) => {
  const run = start(
    [closing(reason)],
    { position: "p7", history: true },
    vi.fn(() => {
      throw new ConnectError("no", code);
    }),
  );
  await settle(60_000);
  expect(last(run.states)).toMatchObject({ state: "stopped", failure: { kind } });
  expect(run.asked).toHaveLength(1);
});

test("whoever is welcome again goes on where he was", async () => {
  const run = start(
    [
      closing("Unauthorized"),
      async function* (_, signal) {
        yield openedAs("resumed");
        await ended(signal);
      },
    ],
    { position: "p7", history: true },
  );
  await settle(1000);
  expect(last(run.states)).toEqual({ state: "live" });
  expect(run.asked[1]?.after).toBe("p8");
  run.stop();
});

test("a silence longer than three heartbeats is a dead connection", async () => {
  const run = start([
    async function* (_, signal) {
      yield openedAs("resumed");
      await ended(signal);
    },
  ]);
  await settle(silenceLimit - 1);
  expect(last(run.states)).toEqual({ state: "live" });
  await settle(1);
  expect(last(run.states)).toMatchObject({ state: "waiting", failure: { kind: "unreachable" } });
  run.stop();
});

test("a feed that was let go goes on where it was", async () => {
  const run = start(
    [
      async function* (_, signal) {
        yield openedAs("resumed");
        await ended(signal);
      },
    ],
    { position: "p42", history: true },
  );
  await settle();
  expect(run.lists).not.toHaveBeenCalled();
  expect(run.asked[0]?.after).toBe("p42");
  run.stop();
});
