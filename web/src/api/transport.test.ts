import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { EventService } from "@rightsizer/api/event_service";
import { renderHook } from "@testing-library/react";
import { beforeEach, expect, test } from "vitest";
import { openedAs } from "../feed/samples";
import { signIn, useSession } from "./session";
import { identify } from "./transport";

beforeEach(() => signIn("t-1", "ana"));

function client(code: Code, seen: (string | null)[] = []) {
  const transport = createRouterTransport(
    ({ service }) => {
      service(EventService, {
        listEvents: (_, { requestHeader }) => {
          seen.push(requestHeader.get("Authorization"));
          throw new ConnectError("no", code);
        },
        streamEvents: async function* () {
          yield openedAs("resumed");
          throw new ConnectError("no", code);
        },
      });
    },
    { transport: { interceptors: [identify] } },
  );
  return createClient(EventService, transport);
}

const refused = () => renderHook(() => useSession()).result.current.refused;

test("calls carry the token, and a token that is not taken is noted", async () => {
  const seen: (string | null)[] = [];
  await expect(client(Code.Unauthenticated, seen).listEvents({})).rejects.toThrow();
  expect(seen).toEqual(["Bearer t-1"]);
  expect(refused()).toBe(true);
});

test("so is one that is not taken by the end of a stream", async () => {
  const messages: unknown[] = [];
  await expect(
    (async () => {
      for await (const message of client(Code.Unauthenticated).streamEvents({}))
        messages.push(message);
    })(),
  ).rejects.toThrow();
  expect(messages).toHaveLength(1);
  expect(refused()).toBe(true);
});

test.each([Code.PermissionDenied, Code.Unavailable])(
  "code %s says nothing of the token",
  async (code) => {
    await expect(client(code).listEvents({})).rejects.toThrow();
    expect(refused()).toBe(false);
  },
);
