interface Asked {
  meta?: Record<string, unknown> | undefined;
}

// keptOf are the options of a query whose answer stays while another time is asked
// about, and never stands for another thing's.
export function keptOf(...names: string[]) {
  const of = JSON.stringify(names);
  return {
    meta: { of },
    placeholderData: <Data>(previous: Data | undefined, query: Asked | undefined) =>
      query?.meta?.of === of ? previous : undefined,
  };
}
