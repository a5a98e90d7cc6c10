// How much of the past a workload's page shows.
export const ranges = ["15m", "1h", "6h", "24h"] as const;
export type Range = (typeof ranges)[number];

export const rangeMs: Record<Range, number> = {
  "15m": 900_000,
  "1h": 3_600_000,
  "6h": 21_600_000,
  "24h": 86_400_000,
};

export interface UsageSearch {
  range?: Range; // 1h where unset
  container?: string; // the first where unset
}

export function usageSearchFrom(search: Record<string, unknown>): UsageSearch {
  const result: UsageSearch = {};
  const range = ranges.find((name) => name === search.range);
  if (range && range !== "1h") result.range = range;
  if (typeof search.container === "string" && search.container)
    result.container = search.container.slice(0, 63);
  return result;
}
