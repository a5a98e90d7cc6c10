import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { failure } from "../api/failure";
import { FeedBody } from "./feed-body";
import { type Connection, emptyFeed } from "./feed-state";
import type { FeedFilter } from "./filter";

afterEach(cleanup);

function body(connection: Connection, loaded: boolean, filter: FeedFilter = {}) {
  return (
    <FeedBody
      grid={{ current: null }}
      state={{ ...emptyFeed, connection, loaded }}
      rows={[]}
      filter={filter}
      selection={{
        activeKey: undefined,
        opened: undefined,
        activate: vi.fn(),
        move: vi.fn(),
        open: vi.fn(),
        openActive: vi.fn(),
        close: vi.fn(),
      }}
      retry={vi.fn()}
      clear={vi.fn()}
    />
  );
}

function says(connection: Connection, loaded: boolean, filter?: FeedFilter) {
  render(body(connection, loaded, filter));
  return screen.queryByRole("heading")?.textContent ?? screen.getByRole("status").textContent;
}

const waiting = {
  state: "waiting",
  attempt: 1,
  retryAt: 0,
  failure: failure("unreachable"),
} as const;
const denied = { state: "stopped", failure: failure("denied") } as const;

test.each<[string, Connection, boolean, FeedFilter | undefined, string]>([
  ["the first answer is awaited", { state: "connecting", attempt: 0 }, false, {}, "Loading events"],
  ["nothing happened", { state: "live" }, true, {}, "Nothing has gone wrong so far"],
  ["nothing matches", { state: "live" }, true, { namespace: "a" }, "No event matches the filter"],
  ["no connection yet", waiting, false, {}, "No connection to the operator"],
  ["no connection any more", waiting, true, {}, "No connection to the operator"],
  [
    "no connection, with a filter",
    waiting,
    true,
    { namespace: "a" },
    "No connection to the operator",
  ],
  ["it rested", { state: "connecting", attempt: 0 }, true, {}, "Reconnecting"],
  ["denied", denied, false, {}, "You may not see this"],
  ["denied later", denied, true, {}, "You may not see this"],
])("without rows: %s", (_, connection, loaded, filter, words) => {
  expect(says(connection, loaded, filter)).toBe(words);
});

test.each([true, false])("an outage is told once, not at each attempt (loaded: %s)", (loaded) => {
  const { rerender } = render(body(waiting, loaded));
  const alert = screen.getByRole("alert");
  for (const attempt of [2, 3]) {
    rerender(body({ state: "connecting", attempt, failure: failure("unreachable") }, loaded));
    expect(screen.getByRole("alert")).toBe(alert);
    rerender(body({ ...waiting, attempt, failure: failure("unreachable") }, loaded));
    expect(screen.getByRole("alert")).toBe(alert);
  }
});
