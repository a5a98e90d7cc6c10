// The workload list's part of the URL.
export interface WorkloadSearch {
  order?: Order;
  name?: string;
  namespace?: string;
  problems?: "only";
}

// As ListWorkloadsRequest.order_by has them; the server sorts, over all pages.
export const orders = [
  "name",
  "restarts",
  "cpu_requested",
  "memory_requested",
  "open_problems",
] as const;
export type Order = (typeof orders)[number];

export function workloadSearchFrom(search: Record<string, unknown>): WorkloadSearch {
  const result: WorkloadSearch = {};
  const order = orders.find((name) => name === search.order);
  if (order && order !== "name") result.order = order;
  if (typeof search.name === "string" && search.name) result.name = search.name.slice(0, 253);
  if (typeof search.namespace === "string" && search.namespace) result.namespace = search.namespace;
  if (search.problems === "only") result.problems = "only";
  return result;
}
