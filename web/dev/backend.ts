import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { AuditService } from "@rightsizer/api/audit_service";
import { ClusterService } from "@rightsizer/api/cluster_service";
import { EventService } from "@rightsizer/api/event_service";
import { MetricsService } from "@rightsizer/api/metrics_service";
import { PolicyService } from "@rightsizer/api/policy_service";
import { RemediationService } from "@rightsizer/api/remediation_service";
import { WorkloadService } from "@rightsizer/api/workload_service";
import { auditService } from "./audit";
import { clusterService } from "./cluster";
import { eventService, Ring } from "./events";
import { metricsService } from "./metrics";
import { servePage } from "./page";
import { policyService } from "./policies";
import { remediationService } from "./remediations";
import { workloadService } from "./workloads";

export interface Options {
  port: number;
  rate: number; // events a second
  startingSeconds: number;
}

// listen serves the invented operator's API on loopback, and returns its port; beside it
//   POST /dev/drop    ends all streams     POST /dev/forget  a new epoch
//   POST /dev/lose    tells all of a loss  POST /dev/resync  tells all of a resync
export async function listen({ port, rate, startingSeconds }: Options): Promise<number> {
  const ring = new Ring();
  ring.fill(150);
  if (rate > 0) publish(ring, rate);
  const router = createConnectRouter()
    .service(ClusterService, clusterService(startingSeconds))
    .service(EventService, eventService(ring))
    .service(WorkloadService, workloadService())
    .service(MetricsService, metricsService)
    .service(RemediationService, remediationService)
    .service(PolicyService, policyService)
    .service(AuditService, auditService);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    if (request.method === "POST" && path.startsWith("/dev/")) {
      ring.disturb(path.slice("/dev/".length));
      response.writeHead(204).end();
      return;
    }
    const handler = handlers.get(path);
    if (handler) void answer(handler, request, response);
    else servePage(path, response);
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" && address ? address.port : port;
}

// So many a second, also where a busy machine lets the timer wait.
function publish(ring: Ring, rate: number) {
  const began = performance.now();
  let published = 0;
  setInterval(
    () => {
      const due = Math.floor(((performance.now() - began) / 1000) * rate) - published;
      if (due <= 0) return;
      published += due;
      ring.publish(due);
    },
    Math.max(50, 1000 / rate),
  );
}

// Between node's HTTP server and a handler of Connect: what connect-node does,
// which needs a newer Node than ours.
async function answer(
  handler: UniversalHandler,
  request: IncomingMessage,
  response: ServerResponse,
) {
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const header = new Headers();
  for (const [name, value] of Object.entries(request.headers))
    if (typeof value === "string") header.set(name, value);
  const result = await handler({
    httpVersion: request.httpVersion,
    url: new URL(request.url ?? "/", "http://localhost").href,
    method: request.method ?? "GET",
    header,
    body: request,
    signal: gone.signal,
  });
  response.writeHead(result.status, Object.fromEntries(result.header ?? []));
  try {
    for await (const chunk of result.body ?? []) {
      if (gone.signal.aborted) break;
      response.write(chunk);
    }
  } catch {
    // The client went away in the middle of a stream.
  }
  response.end();
}
