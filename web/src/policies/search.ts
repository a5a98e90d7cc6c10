// The workload that is explained, as namespace/Kind/name, and the list's filter.
export interface PolicySearch {
  namespace?: string;
  workload?: string;
}

export function policySearchFrom(search: Record<string, unknown>): PolicySearch {
  const result: PolicySearch = {};
  for (const field of ["namespace", "workload"] as const) {
    const value = search[field];
    if (typeof value === "string" && value !== "") result[field] = value.slice(0, 1000);
  }
  return result;
}

export interface Target {
  namespace: string;
  kind: string;
  name: string;
}

// targetFrom reads "shop/Deployment/api"; undefined where it is not that.
export function targetFrom(text: string | undefined): Target | undefined {
  const [namespace, kind, name, more] = (text ?? "").split("/");
  if (!namespace || !kind || !name || more !== undefined) return undefined;
  return { namespace, kind, name };
}
