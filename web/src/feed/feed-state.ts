import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { Event } from "@rightsizer/api/event";
import type { StreamEventsResponse } from "@rightsizer/api/event_service";
import { LossBound } from "@rightsizer/api/stream";
import type { Failure } from "../api/failure";
import { placeOf } from "./place-of";

// How many rows a tab keeps; older ones go, counted.
export const rowCap = 5000;

export type Mark =
  | { kind: "lost"; count: bigint; bound: LossBound }
  | { kind: "resync"; scope: string; reason: string; since: Timestamp | undefined }
  | { kind: "reset"; reason: string };

// A row is an event, or a mark where the list is not whole.
export type Row =
  | { key: string; at: number; event: Event; mark?: never; text: string }
  | { key: string; at: number; event?: never; mark: Mark; text: string };

export type Connection =
  | { state: "connecting"; attempt: number; failure?: Failure } // of the attempt before
  | { state: "live" }
  | { state: "waiting"; attempt: number; retryAt: number; failure: Failure }
  | { state: "parked" }
  | { state: "stopped"; failure: Failure };

// What the latest reconnect meant for the list.
export type Note =
  | { kind: "resumed" }
  | { kind: "lost"; count: bigint; bound: LossBound }
  | { kind: "reset" };

export interface FeedState {
  rows: readonly Row[]; // oldest first
  held: readonly Row[]; // came while paused
  paused: boolean;
  ids: ReadonlySet<string>; // of the events in rows and held
  dropped: number; // rows beyond the cap
  received: number; // new events from the stream, repeats left out
  incidents: number;
  opens: number; // streams opened so far
  loaded: boolean; // the history, or a snapshot, is there
  connection: Connection;
  note: Note | undefined;
  marks: number; // marks so far, for their keys
}

export interface Received {
  message: StreamEventsResponse;
  at: number; // ms, when it came
}

export type FeedAction =
  | { do: "restart" }
  | { do: "history"; events: readonly Event[]; at: number } // newest first, as ListEvents has them
  | { do: "messages"; messages: readonly Received[] }
  | { do: "connection"; connection: Connection }
  | { do: "pause"; paused: boolean };

export const emptyFeed: FeedState = {
  rows: [],
  held: [],
  paused: false,
  ids: new Set(),
  dropped: 0,
  received: 0,
  incidents: 0,
  opens: 0,
  loaded: false,
  connection: { state: "connecting", attempt: 0 },
  note: undefined,
  marks: 0,
};

export function reduceFeed(state: FeedState, action: FeedAction, cap = rowCap): FeedState {
  switch (action.do) {
    case "restart":
      return { ...emptyFeed, paused: state.paused };
    case "connection":
      return { ...state, connection: action.connection };
    case "history": {
      // A pause holds what comes anew; what was there before shows all the same,
      // lest a paused list look like an empty cluster.
      const draft = open({ ...state, paused: false });
      for (const event of action.events.toReversed()) draft.add(event, action.at);
      return { ...draft.close(cap), paused: state.paused, loaded: true };
    }
    case "messages": {
      const draft = open(state);
      for (const received of action.messages) draft.take(received);
      return draft.close(cap);
    }
    case "pause":
      if (action.paused) return { ...state, paused: true };
      return capped(
        { ...state, paused: false, rows: [...state.rows, ...state.held], held: [] },
        cap,
      );
  }
}

// One copy of the lists per batch, not per message: batches hold hundreds.
function open(before: FeedState) {
  const state = { ...before };
  const fresh: Row[] = [];
  const ids = new Set(before.ids);

  function add(event: Event, at: number): boolean {
    if (ids.has(event.id)) return false;
    ids.add(event.id);
    fresh.push({ key: event.id, at, event, text: haystack(event) });
    return true;
  }

  function mark(value: Mark, at: number) {
    state.marks++;
    fresh.push({ key: `mark-${state.marks}`, at, mark: value, text: "" });
  }

  function take({ message: { message }, at }: Received) {
    switch (message.case) {
      case "opened": {
        const again = state.opens > 0;
        state.opens++;
        state.note = undefined;
        if (message.value.start.case === "resumed" && again) state.note = { kind: "resumed" };
        if (message.value.start.case === "reset" && (again || state.rows.length > 0)) {
          state.note = { kind: "reset" };
          mark({ kind: "reset", reason: message.value.start.value.reason }, at);
        }
        break;
      }
      case "event":
        if (add(message.value, at)) state.received++;
        break;
      case "incident":
        state.incidents++;
        break;
      case "lost": {
        const { count, exact, bound: told } = message.value;
        // An older operator says no more than whether it is exact.
        const bound = told || (exact ? LossBound.EXACT : LossBound.ESTIMATE);
        state.note = { kind: "lost", count, bound };
        mark({ kind: "lost", count, bound }, at);
        break;
      }
      case "resync": {
        const { scope, reason, since } = message.value;
        mark({ kind: "resync", scope, reason, since }, at);
        break;
      }
      case "synced":
        state.loaded = true;
        break;
      // A heartbeat moves the position only, and the end of the stream shows as
      // the connection's state; follow.ts sees to both.
      case "heartbeat":
      case "closing":
      case undefined:
        break;
    }
  }

  function close(cap: number): FeedState {
    if (fresh.length === 0) return state;
    const list = state.paused ? "held" : "rows";
    return capped({ ...state, ids, [list]: [...before[list], ...fresh] }, cap);
  }

  return { add, take, close };
}

function capped(state: FeedState, cap: number): FeedState {
  const over = {
    rows: Math.max(0, state.rows.length - cap),
    held: Math.max(0, state.held.length - cap),
  };
  if (over.rows + over.held === 0) return state;
  const ids = new Set(state.ids);
  for (const list of ["rows", "held"] as const)
    for (const row of state[list].slice(0, over[list])) ids.delete(row.key);
  return {
    ...state,
    ids,
    rows: state.rows.slice(over.rows),
    held: state.held.slice(over.held),
    dropped: state.dropped + over.rows + over.held,
  };
}

// What the text filter looks into, in lower case.
function haystack(event: Event): string {
  const { type, object, container, node, reason, message } = event;
  return [type, placeOf(event), object?.name, container, node, reason, message]
    .join("\n")
    .toLowerCase();
}
