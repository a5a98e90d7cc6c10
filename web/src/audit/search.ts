export interface AuditSearch {
  namespace?: string;
  remediation?: string;
  since?: Since;
}

export const sinces = ["1h", "24h", "7d"] as const;
export type Since = (typeof sinces)[number];

export const sinceMs: Record<Since, number> = {
  "1h": 3_600_000,
  "24h": 86_400_000,
  "7d": 604_800_000,
};

export function auditSearchFrom(search: Record<string, unknown>): AuditSearch {
  const result: AuditSearch = {};
  for (const field of ["namespace", "remediation"] as const) {
    const value = search[field];
    if (typeof value === "string" && value !== "") result[field] = value.slice(0, 1000);
  }
  const since = sinces.find((name) => name === search.since);
  if (since) result.since = since;
  return result;
}
