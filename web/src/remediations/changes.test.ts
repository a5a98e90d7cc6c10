import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { RemediationActionSchema } from "@rightsizer/api/remediation";
import { expect, test } from "vitest";
import { changes } from "./changes";

const mi = 1_048_576n;
const action = (init: MessageInitShape<typeof RemediationActionSchema>) =>
  create(RemediationActionSchema, init);
const resize = action({
  kind: "resize_in_place",
  requests: { memoryBytes: 96n * mi },
  limits: { memoryBytes: 192n * mi, cpuMillis: 1500n },
});
const diff = JSON.stringify([
  { op: "test", path: "/spec/containers/1/resources/limits/memory", value: "128Mi" },
  { op: "replace", path: "/spec/containers/1/resources/limits/memory", value: "192Mi" },
]);

test("what the patch says was there before stands before what is in force now", () => {
  const list = changes(
    { action: resize, diff },
    { sizes: { limits: { memoryBytes: 512n * mi, cpuMillis: 0n } } as never },
  );
  expect(list).toEqual([
    { name: "Memory request", from: "", to: "96 MiB", percent: "" },
    { name: "Memory limit", from: "128 MiB", to: "192 MiB", percent: "+50 %" },
    { name: "CPU limit", from: "none", to: "1.5 cores", percent: "" },
  ]);
});

test("replicas go from what the patch wants to what is asked for", () => {
  const scale = action({ kind: "scale", replicas: 5 });
  const patch =
    '[{"op":"test","path":"/spec/replicas","value":3},{"op":"replace","path":"/spec/replicas","value":5}]';
  expect(changes({ action: scale, diff: patch })).toMatchObject([
    { name: "Replicas", from: "3", to: "5" },
  ]);
  expect(changes({ action: scale, diff: "" }, { replicas: 2 })).toMatchObject([
    { from: "2", to: "5" },
  ]);
});

test("a bound of an autoscaler is called that, and is not the replicas of now", () => {
  const scale = action({
    kind: "scale",
    replicas: 9,
    parameters: { autoscaler: "api", bound: "maxReplicas" },
  });
  expect(changes({ action: scale, diff: "" }, { replicas: 6 })).toEqual([
    { name: "Most replicas, of autoscaler api", from: "", to: "9", percent: "" },
  ]);
});

test.each(["restart_pod", "rollout_restart", "webhook"])("%s sets no sizes", (kind) => {
  expect(changes({ action: action({ kind }), diff: "" })).toEqual([]);
});
