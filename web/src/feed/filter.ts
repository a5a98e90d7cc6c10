import type { MessageInitShape } from "@bufbuild/protobuf";
import type { EventFilterSchema } from "@rightsizer/api/filter";
import { Severity } from "@rightsizer/api/severity";

// The feed's filter as the URL carries it. All but `text` is the server's work;
// lists are joined by commas.
export interface FeedFilter {
  type?: string;
  minSeverity?: SeverityName;
  namespace?: string;
  workload?: string;
  text?: string;
}

export const severityNames = ["info", "warning", "error", "critical"] as const;
export type SeverityName = (typeof severityNames)[number];

export const severityByName: Record<SeverityName, Severity> = {
  info: Severity.INFO,
  warning: Severity.WARNING,
  error: Severity.ERROR,
  critical: Severity.CRITICAL,
};

// The same patterns as filter.proto has, so that a slip is named beside its field
// and never costs a call.
const typePattern = /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*(\.\*)?$/;
const namespacePattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const workloadPattern = /^([A-Za-z][A-Za-z0-9]*\/)?[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/;

export type ServerField = "type" | "namespace" | "workload";

const rules: Record<ServerField, { pattern: RegExp; says: string }> = {
  type: { pattern: typePattern, says: "a type such as pod.oom_killed, or a prefix such as pod.*" },
  namespace: { pattern: namespacePattern, says: "lower-case letters, digits and dashes" },
  workload: { pattern: workloadPattern, says: "a name such as api, or Kind/name" },
};

// Says what is wrong with a field; undefined where nothing is.
export function fault(field: ServerField, value: string | undefined): string | undefined {
  const { pattern, says } = rules[field];
  const wrong = list(value).find((entry) => !pattern.test(entry));
  return wrong === undefined ? undefined : `“${wrong}” is not ${says}`;
}

export function list(value: string | undefined): string[] {
  return (value ?? "")
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
}

// A word without a dot can only be meant as a prefix: every type has a dot.
function typeEntry(entry: string): string {
  return entry.includes(".") ? entry : `${entry}.*`;
}

// What the server is asked for. Fields with a fault are left out: the page says
// so beside the field.
export function toEventFilter(filter: FeedFilter): MessageInitShape<typeof EventFilterSchema> {
  const sound = (field: ServerField) =>
    fault(field, filter[field]) === undefined ? list(filter[field]) : [];
  const namespaces = sound("namespace");
  return {
    eventTypes: sound("type").map(typeEntry),
    namespaces,
    workloads: sound("workload"),
    minSeverity: filter.minSeverity ? severityByName[filter.minSeverity] : Severity.UNSPECIFIED,
    // Whoever may not read everything sees what he may, instead of nothing.
    allowedOnly: namespaces.length === 0,
  };
}

// From the URL, where anything may stand.
export function feedFilterFrom(search: Record<string, unknown>): FeedFilter {
  const filter: FeedFilter = {};
  for (const field of ["type", "namespace", "workload", "text"] as const) {
    const value = search[field];
    if (typeof value === "string" && value !== "") filter[field] = value.slice(0, 1000);
  }
  const severity = severityNames.find((name) => name === search.minSeverity);
  if (severity) filter.minSeverity = severity;
  return filter;
}
