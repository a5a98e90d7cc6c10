// The lists of the inbox; states.tsx says which states each holds. By name alone
// here: the router needs it before anything of remediations is loaded.
export const showNames = ["waiting", "running", "done", "all"] as const;
export type Show = (typeof showNames)[number];

export interface InboxSearch {
  show?: Show;
  namespace?: string;
}

export function inboxSearchFrom(search: Record<string, unknown>): InboxSearch {
  const result: InboxSearch = {};
  const show = showNames.find((name) => name === search.show);
  if (show && show !== "waiting") result.show = show;
  if (typeof search.namespace === "string" && search.namespace)
    result.namespace = search.namespace.slice(0, 1000);
  return result;
}
