import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import type { EventService, StreamEventsResponse } from "@rightsizer/api/event_service";
import type { EventFilterSchema } from "@rightsizer/api/filter";
import { explainOffered, type Failure, failure } from "../api/failure";
import { backoff } from "./backoff";
import type { Connection, Received } from "./feed-state";

// Newest events to start with.
const historySize = 200;
// The server breaks a silence after 15 s; three times that is a dead connection
// that nobody told us of.
export const silenceLimit = 45_000;
// A stream that lived this long was a success: the next pause is short again.
const livedLong = 5000;

// Where a feed stands: kept by whoever follows, so that a feed that was let go
// goes on where it was.
export interface Cursor {
  position: string;
  history: boolean; // whether it was loaded
}

export interface FollowOptions {
  client: Client<typeof EventService>;
  filter: MessageInitShape<typeof EventFilterSchema>;
  cursor: Cursor;
  signal: AbortSignal;
  onHistory(events: Awaited<ReturnType<Client<typeof EventService>["listEvents"]>>["events"]): void;
  onMessage(received: Received): void;
  onConnection(connection: Connection): void;
  random?: () => number;
}

// follow loads the history, then streams, and reconnects from where it was until
// the signal ends it or the server refuses for a reason that does not pass.
export async function follow(options: FollowOptions): Promise<void> {
  const { signal, onConnection } = options;
  let attempt = 0;
  let why: Failure | undefined;
  while (!signal.aborted) {
    onConnection({ state: "connecting", attempt, ...(why && { failure: why }) });
    const started = Date.now();
    why = await once(options);
    if (signal.aborted) return;
    if (!why.passing) {
      onConnection({ state: "stopped", failure: why });
      return;
    }
    if (Date.now() - started > livedLong) attempt = 0;
    const delay = backoff(attempt, options.random);
    attempt++;
    onConnection({ state: "waiting", attempt, retryAt: Date.now() + delay, failure: why });
    await pause(delay, signal);
  }
}

// once returns why the stream ended.
async function once(options: FollowOptions): Promise<Failure> {
  const { client, filter, cursor, signal } = options;
  const silence = new AbortController();
  try {
    if (!cursor.history) {
      const answer = await client.listEvents({ filter, pageSize: historySize }, { signal });
      cursor.history = true;
      cursor.position = answer.newest;
      options.onHistory(answer.events);
    }
    let timer = setTimeout(() => silence.abort(), silenceLimit);
    try {
      const stream = client.streamEvents(
        { filter, after: cursor.position },
        { signal: AbortSignal.any([signal, silence.signal]), timeoutMs: 0 },
      );
      for await (const message of stream) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), silenceLimit);
        // An aborted stream may still hand out what it had read.
        if (signal.aborted) break;
        cursor.position = positionOf(message) || cursor.position;
        options.onMessage({ message, at: Date.now() });
        if (message.message.case === "opened") options.onConnection({ state: "live" });
        if (message.message.case === "closing") {
          const { reason } = message.message.value;
          return unwelcomes.includes(reason) ? await unwelcome(options) : closed(reason);
        }
      }
    } finally {
      clearTimeout(timer);
    }
    return failure("unreachable", "The stream ended without a word.");
  } catch (reason) {
    if (silence.signal.aborted)
      return failure("unreachable", `Nothing came for ${silenceLimit / 1000} s.`);
    return explainOffered(reason);
  }
}

function positionOf({ position, message }: StreamEventsResponse): string {
  if (position !== "") return position;
  switch (message.case) {
    case "synced":
    case "heartbeat":
    case "closing":
      return message.value.position;
    default:
      return "";
  }
}

// Ends of a stream whose caller may not go on with it: his right is gone, his token
// ran out, he signed out elsewhere, or what he may see is not looked for any more. What
// holds now, the answer to a question says.
const unwelcomes = ["Unauthorized", "Expired", "LoggedOut", "TooManyNamespaces"];

async function unwelcome({ client, filter, signal }: FollowOptions): Promise<Failure> {
  await client.listEvents({ filter, pageSize: 1 }, { signal });
  return failure("overloaded", "The operator ended the stream, and lets you in again.");
}

function closed(reason: string): Failure {
  switch (reason) {
    case "QuotaExceeded":
      return failure("overloaded", "The operator ended the stream to make room.");
    case "ReviewUnavailable":
      return failure("starting", "Who you are and what you may see could not be looked up.");
    case "Shutdown":
      return failure("unreachable", "The operator shut down.");
    default:
      return failure("unreachable", `The operator ended the stream: ${reason}.`);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
