import { Phase } from "@rightsizer/api/event";
import { expect, test } from "vitest";
import { markOf } from "./happening";

const { OPENED, UPDATED, RESOLVED, POINT } = Phase;

test.each([
  ["pod.oom_killed", POINT, "oom"],
  ["pod.process_oom_killed", POINT, "oom"],
  ["node.system_oom", POINT, "oom"],
  ["pod.crash_loop", OPENED, "oom"],
  ["pod.crash_loop", UPDATED, "oom"],
  ["pod.resize.completed", POINT, "resize"],
  ["pod.resize.deferred", OPENED, "resize"],
  ["deployment.scaled", POINT, "deploy"],
  ["statefulset.rollout_started", POINT, "deploy"],
  ["daemonset.rolled", POINT, "deploy"],
])("%s in phase %s is drawn", (type, phase, mark) => {
  expect(markOf({ type, phase })).toBe(mark);
});

test.each([
  ["pod.crash_loop", RESOLVED],
  ["pod.resize.deferred", UPDATED],
  ["pod.resize.deferred", RESOLVED],
  ["deployment.stuck", OPENED],
  ["deployment.unavailable", OPENED],
  ["daemonset.unavailable", UPDATED],
  ["statefulset.unavailable", RESOLVED],
  ["pod.pressure.memory", OPENED],
])("%s in phase %s is not", (type, phase) => {
  expect(markOf({ type, phase })).toBeUndefined();
});
