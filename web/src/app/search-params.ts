// The search part of a URL as plain names and values, so that a link reads, and
// can be typed, as ?minSeverity=error&namespace=shop. The router's default would
// write JSON.

export function parseSearch(search: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(search));
}

export function stringifySearch(search: Record<string, unknown>): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(search))
    if (value !== undefined && value !== "") params.set(name, String(value));
  // What a URL may hold as it is stays readable. But for a slash at its end: the router
  // takes it for the same place as without, and would not go there.
  const text = params
    .toString()
    .replaceAll("%2C", ",")
    .replace(/%2F(?!$)/g, "/");
  return text === "" ? "" : `?${text}`;
}
