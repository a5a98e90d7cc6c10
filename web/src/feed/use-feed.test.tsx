import { createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { EventService, type StreamEventsRequest } from "@rightsizer/api/event_service";
import { act, cleanup, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { FeedFilter } from "./filter";
import { openedAs, sampleEvent, streamMessage } from "./samples";
import { parkAfter, useFeed } from "./use-feed";

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  cleanup();
  vi.useRealTimers();
  show("visible");
});

function show(state: DocumentVisibilityState) {
  Object.defineProperty(document, "visibilityState", { configurable: true, value: state });
  document.dispatchEvent(new Event("visibilitychange"));
}

// A server whose streams stay open and send `ticks` events, one every 10 ms.
function follow(filter: FeedFilter, ticks = 1) {
  const asked: StreamEventsRequest[] = [];
  let open = 0;
  let number = 1;
  const transport = createRouterTransport(({ service }) => {
    service(EventService, {
      listEvents: () => ({ events: [sampleEvent(1)], newest: "p1" }),
      async *streamEvents(request, { signal }) {
        asked.push(request);
        open++;
        try {
          yield openedAs("resumed");
          for (let tick = 0; tick < ticks; tick++) {
            await new Promise((resolve) => setTimeout(resolve, 10));
            number++;
            yield streamMessage({ case: "event", value: sampleEvent(number) }, `p${number}`);
          }
          while (!signal.aborted) {
            await Promise.race([
              new Promise((resolve) => setTimeout(resolve, 15_000)),
              new Promise((resolve) => signal.addEventListener("abort", resolve)),
            ]);
            if (!signal.aborted)
              yield streamMessage({ case: "heartbeat", value: { position: `p${number}` } });
          }
        } finally {
          open--;
        }
      },
    });
  });
  const wrapper = ({ children }: { children: ReactNode }) => (
    <TransportProvider transport={transport}>{children}</TransportProvider>
  );
  let renders = 0;
  const hook = renderHook(
    (asked: FeedFilter) => {
      renders++;
      return useFeed(asked);
    },
    { initialProps: filter, wrapper },
  );
  return { ...hook, asked, open: () => open, renders: () => renders };
}

const settle = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));

test("shows the history, then what the one stream brings, in batches", async () => {
  const feed = follow({}, 50);
  await settle(20);
  expect(feed.result.current.state.rows).toHaveLength(1);
  const before = feed.renders();
  await settle(1000);
  expect(feed.result.current.state.rows).toHaveLength(51);
  // 50 events in half a second are a handful of renders.
  expect(feed.renders() - before).toBeLessThan(8);
  expect(feed.open()).toBe(1);
});

test("a filter of the server's reopens the stream; the text does not", async () => {
  const feed = follow({ namespace: "shop" });
  await settle(200);
  feed.rerender({ namespace: "shop", text: "oom" });
  await settle(200);
  expect(feed.asked).toHaveLength(1);
  feed.rerender({ namespace: "billing", text: "oom" });
  await settle(200);
  expect(feed.asked.map(({ filter }) => filter?.namespaces)).toEqual([["shop"], ["billing"]]);
  expect(feed.open()).toBe(1);
});

test("a tab hidden for long gives its stream back and resumes where it was", async () => {
  const feed = follow({});
  await settle(200);
  show("hidden");
  await settle(parkAfter - 1);
  expect(feed.open()).toBe(1);
  await settle(1);
  expect(feed.open()).toBe(0);
  expect(feed.result.current.state.connection).toEqual({ state: "parked" });
  act(() => show("visible"));
  await settle(200);
  expect(feed.asked.map(({ after }) => after)).toEqual(["p1", "p2"]);
  expect(feed.result.current.state.connection).toEqual({ state: "live" });
  expect(feed.result.current.state.note).toEqual({ kind: "resumed" });
});

test("a network that is back wakes no parked tab, and reopens the stream of a tab in use", async () => {
  const feed = follow({});
  await settle(200);
  act(() => void window.dispatchEvent(new Event("online")));
  await settle(200);
  expect(feed.asked).toHaveLength(2);
  show("hidden");
  await settle(parkAfter);
  act(() => void window.dispatchEvent(new Event("online")));
  await settle(200);
  expect(feed.asked).toHaveLength(2);
  expect(feed.open()).toBe(0);
  expect(feed.result.current.state.connection).toEqual({ state: "parked" });
});

test("a tab hidden for a moment keeps it", async () => {
  const feed = follow({});
  await settle(200);
  show("hidden");
  await settle(parkAfter / 2);
  act(() => show("visible"));
  await settle(parkAfter);
  expect(feed.asked).toHaveLength(1);
});

test("leaving the view lets the stream go", async () => {
  const feed = follow({});
  await settle(200);
  feed.unmount();
  await settle(0);
  expect(feed.open()).toBe(0);
});
