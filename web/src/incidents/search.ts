import { type SeverityName, severityNames } from "../feed/filter";

export interface IncidentSearch {
  state?: "resolved" | "all"; // open where unset
  namespace?: string;
  minSeverity?: SeverityName;
  id?: string; // the one that is looked at
}

export function incidentSearchFrom(search: Record<string, unknown>): IncidentSearch {
  const result: IncidentSearch = {};
  if (search.state === "resolved" || search.state === "all") result.state = search.state;
  const severity = severityNames.find((name) => name === search.minSeverity);
  if (severity) result.minSeverity = severity;
  if (typeof search.namespace === "string" && search.namespace)
    result.namespace = search.namespace.slice(0, 1000);
  if (typeof search.id === "string" && /^[0-9a-f]{32}$/.test(search.id)) result.id = search.id;
  return result;
}
