import { createConnectTransport } from "@connectrpc/connect-web";

// One transport for the whole page: the API is served by the origin of the page.
// Binary, because at 2,000 events a second decoding JSON is what costs most.
export const transport = createConnectTransport({
  baseUrl: window.location.origin,
  useBinaryFormat: true,
  // Reads answer in milliseconds; one that hangs must not look like loading for
  // ever. Streams set their own.
  defaultTimeoutMs: 15_000,
});
