import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { refuse, token } from "./session";

// identify sends the viewer's token, and notes when the operator wants another.
export const identify: Interceptor = (next) => async (request) => {
  const used = token();
  if (used !== "") request.header.set("Authorization", `Bearer ${used}`);
  const told = (reason: unknown) => {
    if (ConnectError.from(reason).code === Code.Unauthenticated) refuse(used);
    return reason;
  };
  try {
    const response = await next(request);
    return response.stream ? { ...response, message: hearing(response.message, told) } : response;
  } catch (reason) {
    throw told(reason);
  }
};

// A stream is refused by its end, not by its beginning.
async function* hearing<T>(messages: AsyncIterable<T>, told: (reason: unknown) => unknown) {
  try {
    yield* messages;
  } catch (reason) {
    throw told(reason);
  }
}

// One transport for the whole page: the API is served by the origin of the page.
// Binary, because at 2,000 events a second decoding JSON is what costs most.
export const transport = createConnectTransport({
  baseUrl: window.location.origin,
  useBinaryFormat: true,
  interceptors: [identify],
  // Reads answer in milliseconds; one that hangs must not look like loading for
  // ever. Streams set their own.
  defaultTimeoutMs: 15_000,
});
