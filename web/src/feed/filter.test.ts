import { Severity } from "@rightsizer/api/severity";
import { expect, test } from "vitest";
import { fault, feedFilterFrom, toEventFilter } from "./filter";

test("what the URL carries becomes what the server is asked for", () => {
  const filter = feedFilterFrom({
    type: "pod, node.not_ready",
    minSeverity: "warning",
    namespace: "shop,billing",
    workload: "Deployment/api",
    text: "128Mi",
    foreign: "left out",
  });
  expect(filter).not.toHaveProperty("foreign");
  expect(toEventFilter(filter)).toEqual({
    eventTypes: ["pod.*", "node.not_ready"],
    minSeverity: Severity.WARNING,
    namespaces: ["shop", "billing"],
    workloads: ["Deployment/api"],
    allowedOnly: false,
  });
  expect(toEventFilter({}).allowedOnly).toBe(true);
});

test("anything may stand in a URL", () => {
  expect(feedFilterFrom({ type: 7, minSeverity: "loud", namespace: ["a"], text: "" })).toEqual({});
});

test("a slip is named and never sent", () => {
  expect(fault("namespace", "shop,Bad_Name")).toContain("“Bad_Name”");
  expect(fault("type", "pod.*,node")).toBeUndefined();
  expect(fault("workload", "Deployment/api,job-1")).toBeUndefined();
  expect(toEventFilter({ namespace: "Bad_Name" }).namespaces).toEqual([]);
});
