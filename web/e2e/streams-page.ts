// The page of streams.mjs.
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { EventService } from "@rightsizer/api/event_service";

declare global {
  interface Window {
    read(who: string, events: number): Promise<void>;
    failed(who: string, why: string): Promise<void>;
  }
}

// Takes the events' numbers, in order, and tells every now and then how many there are.
function counting(who: string): (number: number) => void {
  let events = 0;
  return (number) => {
    if (number !== events) throw new Error(`event ${number}, want ${events}`);
    if (++events % 500 === 0) void window.read(who, events);
  };
}

async function connect(who: string, useBinaryFormat: boolean): Promise<void> {
  const transport = createConnectTransport({ baseUrl: location.origin, useBinaryFormat });
  const next = counting(who);
  for await (const { message } of createClient(EventService, transport).streamEvents({})) {
    if (message.case === "lost") throw new Error(`lost ${message.value.count}`);
    if (message.case !== "event") continue;
    const { details } = message.value;
    next(details.case === "oomKilled" ? details.value.attempt : -1);
  }
  throw new Error("the stream ended");
}

function websocket(who: string): Promise<void> {
  const next = counting(who);
  const socket = new WebSocket(`${location.origin.replace("http", "ws")}/events`);
  return new Promise((_, reject) => {
    socket.onopen = () =>
      /permessage-deflate/.test(socket.extensions)
        ? socket.send("{}")
        : reject(new Error("nothing is compressed"));
    socket.onmessage = ({ data }: MessageEvent<string>) => {
      try {
        const { event, lost } = JSON.parse(data);
        if (lost) throw new Error(`lost ${data}`);
        if (event) next(event.oomKilled.attempt ?? 0);
      } catch (error) {
        reject(error);
      }
    };
    socket.onclose = ({ code, reason }) => reject(new Error(`closed: ${code} ${reason}`));
  });
}

for (const [who, reading] of Object.entries({
  "connect-web": connect("connect-web", true),
  "connect-web-json": connect("connect-web-json", false),
  websocket: websocket("websocket"),
}))
  reading.catch((error: unknown) => window.failed(who, String(error)));
