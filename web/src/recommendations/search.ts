// As ListRecommendationsRequest.order_by has them.
export const orders = ["savings", "oom_risk", "memory_change", "cpu_change", "name"] as const;
export type Order = (typeof orders)[number];

export interface RecommendationSearch {
  order?: Order;
  namespace?: string;
  workload?: string;
  due?: "all"; // only what is due where unset
}

export function recommendationSearchFrom(search: Record<string, unknown>): RecommendationSearch {
  const result: RecommendationSearch = {};
  const order = orders.find((name) => name === search.order);
  if (order && order !== "savings") result.order = order;
  for (const field of ["namespace", "workload"] as const) {
    const value = search[field];
    if (typeof value === "string" && value !== "") result[field] = value.slice(0, 1000);
  }
  if (search.due === "all") result.due = "all";
  return result;
}
