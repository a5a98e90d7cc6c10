import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { ContainerKind, type Event, Phase } from "@rightsizer/api/event";
import type { EventService, StreamEventsResponse } from "@rightsizer/api/event_service";
import type { EventFilter } from "@rightsizer/api/filter";
import { Severity } from "@rightsizer/api/severity";
import { hex, openedAs, sampleEvent, streamMessage } from "../src/feed/samples";
import { page } from "./chance";
import { connections, incidents } from "./incidents";
import { workloads } from "./workloads";

const held = 20_000;

// What a stream is told: there is more, end, break off, or a message to pass on.
type Signal = "published" | "drop" | "cut" | StreamEventsResponse;

// Ring holds the latest events; a position is epoch and number.
export class Ring {
  private epoch = 1;
  private made = 0;
  private events: { number: number; event: Event }[] = [];
  private readonly listeners = new Set<(signal: Signal) => void>();

  fill(count: number) {
    const start = Date.now() - count * 20_000;
    for (let i = 0; i < count; i++) this.add(start + i * 20_000, i < 5);
  }

  publish(count: number) {
    for (let i = 0; i < count; i++) this.add(Date.now(), false);
    this.tell("published");
  }

  disturb(how: string) {
    if (how === "drop") this.tell("drop");
    if (how === "forget") {
      this.epoch++;
      this.tell("cut");
    }
    if (how === "lose")
      this.tell(streamMessage({ case: "lost", value: { count: 1204n, exact: true } }));
    if (how === "resync")
      this.tell(
        streamMessage({
          case: "resync",
          value: {
            scope: "pods",
            reason: "The API server closed the watch; pods that came and went are unknown.",
            since: timestampFromMs(Date.now() - 40_000),
          },
        }),
      );
  }

  get newest(): string {
    return this.position(this.made);
  }

  newestFirst(filter: EventFilter | undefined, limit: number): Event[] {
    const found: Event[] = [];
    for (let i = this.events.length - 1; i >= 0 && found.length < limit; i--) {
      const event = this.events[i]?.event;
      if (event && matches(event, filter)) found.push(event);
    }
    return found;
  }

  async *follow(after: string, filter: EventFilter | undefined, { signal }: HandlerContext) {
    const [epoch, number] = after.split(".").map(Number);
    const known = epoch === this.epoch && number !== undefined;
    yield known
      ? openedAs("resumed")
      : openedAs("reset", after ? "another epoch" : "no position given");
    let sent = known ? number : Math.max(0, this.made - 20);
    const queue: Signal[] = ["published"];
    let wake = () => {};
    const listen = (what: Signal) => {
      queue.push(what);
      wake();
    };
    this.listeners.add(listen);
    signal.addEventListener("abort", () => wake());
    try {
      for (;;) {
        const what = queue.shift();
        if (signal.aborted) return;
        if (what === undefined)
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        else if (what === "cut") return;
        else if (what === "drop") {
          yield streamMessage({
            case: "closing",
            value: { reason: "Shutdown", position: this.position(sent) },
          });
          return;
        } else if (what === "published") {
          for (const { number, event } of this.events.filter((entry) => entry.number > sent)) {
            sent = number;
            if (matches(event, filter))
              yield streamMessage({ case: "event", value: event }, this.position(number));
          }
        } else yield what;
      }
    } finally {
      this.listeners.delete(listen);
    }
  }

  private tell(what: Signal) {
    for (const listener of this.listeners) listener(what);
  }

  private position(number: number): string {
    return `${this.epoch}.${number}`;
  }

  private add(ms: number, foundAtStart: boolean) {
    const number = ++this.made;
    this.events.push({ number, event: invent(number, ms, foundAtStart) });
    if (this.events.length > held) this.events.splice(0, held / 10);
  }
}

function matches(event: Event, filter: EventFilter | undefined): boolean {
  if (!filter) return true;
  const { eventTypes, namespaces, workloads, minSeverity } = filter;
  const workload = `${event.workload?.kind}/${event.workload?.name}`;
  const typeIs = (type: string) =>
    type.endsWith(".*") ? event.type.startsWith(type.slice(0, -1)) : event.type === type;
  return (
    event.severity >= minSeverity &&
    (eventTypes.length === 0 || eventTypes.some(typeIs)) &&
    (namespaces.length === 0 || namespaces.includes(event.namespace)) &&
    (workloads.length === 0 || workloads.some((w) => w === workload || w === event.workload?.name))
  );
}

const places = [
  ["shop", "Deployment", "checkout-api"],
  ["shop", "Deployment", "cart"],
  ["billing", "StatefulSet", "ledger-postgres"],
  ["ingest", "Deployment", "kafka-to-warehouse-stream-processor-v2"],
  ["ml", "Job", "train-embeddings-28"],
] as const;

// Half of the events are of a few places, the others of all workloads, of which one
// has many.
const troubled = 187;

function placeOf(number: number): readonly [string, string, string] {
  const at = number % 10 === 4 ? troubled : (number * 7919) % workloads.length;
  const workload = number % 2 === 0 ? workloads[at] : undefined;
  if (!workload) return places[(number * 7) % places.length] ?? places[0];
  return [workload.namespace, workload.ref?.kind ?? "", workload.ref?.name ?? ""];
}

function invent(number: number, ms: number, foundAtStart: boolean): Event {
  const [namespace, kind, name] = placeOf(number);
  const time = timestampFromMs(ms);
  const pod = `${name}-7c9d8b6f5-${(number % 36 ** 3).toString(36).padStart(4, "x")}`;
  const base = {
    foundAtStart,
    occurredTime: time,
    observedTime: timestampFromMs(ms + 12),
    namespace,
    workload: { kind, name },
    object: { kind: "Pod", name: pod, uid: `0b7e6f1a-${hex(number).slice(-12)}` },
    node: `node-${String(number % 12).padStart(2, "0")}`,
    tags: { qos: "Burstable", team: namespace },
  };
  if (number % 11 === 0)
    return sampleEvent(number, {
      ...base,
      message:
        "exit message from a pod: \u202Egnp.exe\u202C <img src=x onerror=alert(1)>\u001b[31m red",
      severity: Severity.WARNING,
      type: "pod.failed",
      reason: "Error",
    });
  if (number % 3 === 0)
    return sampleEvent(number, {
      ...base,
      type: "pod.crash_loop",
      phase: number % 2 ? Phase.OPENED : Phase.RESOLVED,
      severity: number % 2 ? Severity.CRITICAL : Severity.INFO,
      reason: "CrashLoopBackOff",
      message:
        number % 2
          ? `Container app of pod ${pod} keeps failing: 6 restarts`
          : `Container app of pod ${pod} runs again`,
      details: {
        case: "crashLoop",
        value: {
          containerKind: ContainerKind.APP,
          restartCount: 6,
          lastExitCode: 1,
          lastReason: "Error",
          lastFinishedTime: time,
          backoff: durationFromMs(160_000),
        },
      },
    });
  return sampleEvent(number, {
    ...base,
    message: `Container app of pod ${pod} was OOM-killed at its limit of 128 MiB after 41 s`,
    details: {
      case: "oomKilled",
      value: {
        containerKind: ContainerKind.APP,
        exitCode: 137,
        attempt: number % 9,
        memoryLimitBytes: 134_217_728n,
        memoryRequestBytes: 67_108_864n,
        startedTime: timestampFromMs(ms - 41_000),
        lifetime: durationFromMs(41_000),
      },
    },
  });
}

export function eventService(ring: Ring): Partial<ServiceImpl<typeof EventService>> {
  return {
    listEvents: ({ filter, pageSize }) => ({
      events: ring.newestFirst(filter, pageSize || 100),
      newest: ring.newest,
      completeSince: timestampFromMs(Date.now() - 40 * 60_000),
    }),
    listIncidents({ namespaces, state, minSeverity, ids, problemIds, pageSize, pageToken }) {
      const found = incidents().filter(
        (one) =>
          (state === 0 || one.state === state) &&
          one.severity >= minSeverity &&
          (ids.length === 0 || ids.includes(one.id)) &&
          (problemIds.length === 0 ||
            one.members.some(({ problemId }) => problemIds.includes(problemId))) &&
          (namespaces.length === 0 ||
            one.members.some(({ namespace }) => namespaces.includes(namespace))),
      );
      const { entries, nextPageToken } = page(found, pageSize, pageToken);
      return { incidents: entries, nextPageToken };
    },
    listConnections: () => ({ connections }),
    streamEvents: ({ after, filter }, context) => ring.follow(after, filter, context),
  };
}
