// chance gives a number from 0 to 1 that is the same for the same text in every
// run: what is invented must not change under the reader.
export function chance(text: string): number {
  let hash = 2166136261;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  hash = Math.imul(hash ^ (hash >>> 15), 2246822507);
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32;
}

// page cuts one page out of a list; the token is where the next begins.
export function page<One>(all: readonly One[], pageSize: number, pageToken: string) {
  const start = Number(pageToken || 0);
  const end = start + (pageSize || 100);
  return {
    entries: all.slice(start, end),
    nextPageToken: end < all.length ? String(end) : "",
  };
}
