import { createClient } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import type { Event } from "@rightsizer/api/event";
import { EventService } from "@rightsizer/api/event_service";
import { useCallback, useEffect, useMemo, useReducer, useRef } from "react";
import {
  emptyFeed,
  type FeedAction,
  type FeedState,
  type Received,
  reduceFeed,
} from "./feed-state";
import { type FeedFilter, toEventFilter } from "./filter";
import { type Cursor, follow } from "./follow";

// Messages are shown in batches of this many milliseconds: 2,000 a second cost
// eight renders, and nobody reads faster.
const flushEvery = 125;
// A tab that nobody looks at gives its stream back after this long.
export const parkAfter = 60_000;

export interface Feed {
  state: FeedState;
  setPaused(paused: boolean): void;
  retryNow(): void;
}

// useFeed holds the one event stream of this tab, for as long as it is mounted.
// A changed filter starts it anew; `text` is not part of it.
export function useFeed(filter: FeedFilter): Feed {
  const transport = useTransport();
  const client = useMemo(() => createClient(EventService, transport), [transport]);
  const [state, dispatch] = useReducer(reduce, emptyFeed);
  const restart = useRef(() => {});

  const { type, minSeverity, namespace, workload } = filter;
  useEffect(() => {
    const asked: FeedFilter = {
      ...(type && { type }),
      ...(minSeverity && { minSeverity }),
      ...(namespace && { namespace }),
      ...(workload && { workload }),
    };
    const cursor: Cursor = { position: "", history: false };
    const batch = batcher(dispatch);
    let current: AbortController | undefined;

    function run() {
      current?.abort();
      const controller = new AbortController();
      current = controller;
      void follow({
        client,
        filter: toEventFilter(asked),
        cursor,
        signal: controller.signal,
        onHistory: batch.history,
        onMessage: batch.message,
        onConnection: (connection) => {
          if (!controller.signal.aborted) batch.now({ do: "connection", connection });
        },
      });
    }

    function park() {
      current?.abort();
      current = undefined;
      batch.now({ do: "connection", connection: { state: "parked" } });
    }

    dispatch({ do: "restart" });
    run();
    restart.current = run;
    const forget = watchTab({
      park,
      resume: () => current ?? run(),
      // A parked tab stays parked: nothing would park it again while it is hidden.
      online: () => current && run(),
    });
    return () => {
      forget();
      current?.abort();
      batch.stop();
    };
  }, [client, type, minSeverity, namespace, workload]);

  const setPaused = useCallback((paused: boolean) => dispatch({ do: "pause", paused }), []);
  const retryNow = useCallback(() => restart.current(), []);
  return { state, setPaused, retryNow };
}

// useReducer hands over two arguments only; the cap is the default.
function reduce(state: FeedState, action: FeedAction): FeedState {
  return reduceFeed(state, action);
}

// batcher collects messages and keeps their order with everything else.
function batcher(dispatch: (action: FeedAction) => void) {
  let waiting: Received[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;

  function flush() {
    clearTimeout(timer);
    timer = undefined;
    if (waiting.length === 0) return;
    const messages = waiting;
    waiting = [];
    dispatch({ do: "messages", messages });
  }

  function now(action: FeedAction) {
    flush();
    dispatch(action);
  }

  return {
    now,
    history: (events: readonly Event[]) => now({ do: "history", events, at: Date.now() }),
    message(received: Received) {
      waiting.push(received);
      timer ??= setTimeout(flush, flushEvery);
    },
    stop() {
      clearTimeout(timer);
      waiting = [];
    },
  };
}

interface TabActions {
  park(): void;
  resume(): void;
  online(): void;
}

// watchTab tells when the tab is out of sight for long, when it is back, and
// when the machine has a network again.
function watchTab({ park, resume, online }: TabActions): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  function seen() {
    clearTimeout(timer);
    if (document.visibilityState === "hidden") timer = setTimeout(park, parkAfter);
    else resume();
  }
  document.addEventListener("visibilitychange", seen);
  window.addEventListener("online", online);
  if (document.visibilityState === "hidden") timer = setTimeout(park, parkAfter);
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
    window.removeEventListener("online", online);
  };
}
