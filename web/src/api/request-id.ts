// A key for one request of the viewer: sent again it has one effect. The browser's
// randomUUID is there on TLS and loopback only; these bytes are everywhere.
export function requestId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
