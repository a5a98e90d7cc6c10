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
  // What a URL may hold as it is stays readable.
  const text = params.toString().replaceAll("%2C", ",").replaceAll("%2F", "/");
  return text === "" ? "" : `?${text}`;
}
