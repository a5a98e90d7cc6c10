import { expect, test } from "vitest";
import { rowText } from "./event-cells";
import { sampleEvent } from "./samples";

const object = { kind: "Pod", name: "web-7c9d8b6f5-x2kq" };

test.each([
  [
    "Container app of pod web-7c9d8b6f5-x2kq was OOM-killed at its limit of 128 MiB",
    "was OOM-killed at its limit of 128 MiB",
  ],
  ["Sidecar app of pod web-7c9d8b6f5-x2kq was OOM-killed", "was OOM-killed"],
  ["Pod web-7c9d8b6f5-x2kq waits", "Pod web-7c9d8b6f5-x2kq waits"],
  ["Container app of pod another was OOM-killed", "Container app of pod another was OOM-killed"],
  ["", "OOMKilled"],
])("a row says what its columns do not: %s", (message, want) => {
  expect(rowText(sampleEvent(1, { message, object, container: "app" }))).toBe(want);
});

test("what is about no container is said whole", () => {
  const event = sampleEvent(1, { message: "Node node-1 is down", container: "" });
  expect(rowText(event)).toBe("Node node-1 is down");
});
