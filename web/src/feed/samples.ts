import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Event, EventSchema, Phase } from "@rightsizer/api/event";
import {
  type StreamEventsResponse,
  StreamEventsResponseSchema,
} from "@rightsizer/api/event_service";
import { Severity } from "@rightsizer/api/severity";

// Events and messages for tests and the development backend.

export function hex(value: number): string {
  return value.toString(16).padStart(32, "0");
}

// Fields to set, without the alternative of a whole message: a spread of the two
// would type-check as neither.
type EventFields = Exclude<MessageInitShape<typeof EventSchema>, Event>;

export function sampleEvent(number: number, over: EventFields = {}): Event {
  const now = timestampFromMs(Date.now());
  return create(EventSchema, {
    id: hex(number),
    problemId: hex(number),
    phase: Phase.POINT,
    type: "pod.oom_killed",
    severity: Severity.ERROR,
    occurredTime: now,
    observedTime: now,
    cluster: "c1",
    namespace: "shop",
    object: { kind: "Pod", name: `api-${number}`, uid: `uid-${number}` },
    workload: { kind: "Deployment", name: "api" },
    container: "app",
    node: "node-1",
    reason: "OOMKilled",
    message: `container app of pod api-${number} was killed at its limit of 128Mi`,
    correlationId: hex(number),
    ...over,
  });
}

type StreamMessage = NonNullable<MessageInitShape<typeof StreamEventsResponseSchema>["message"]>;

export function streamMessage(message: StreamMessage, position = ""): StreamEventsResponse {
  return create(StreamEventsResponseSchema, { message, position });
}

export function openedAs(start: "resumed" | "gap" | "reset", reason = ""): StreamEventsResponse {
  return streamMessage({
    case: "opened",
    value: {
      start: start === "reset" ? { case: start, value: { reason } } : { case: start, value: {} },
      oldest: "p0",
      newest: "p9",
    },
  });
}
