import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { ContainerKind } from "@rightsizer/api/event";
import { Severity } from "@rightsizer/api/severity";
import { type Workload, WorkloadSchema } from "@rightsizer/api/workload";
import type { WorkloadService } from "@rightsizer/api/workload_service";
import { sampleEvent } from "../src/feed/samples";
import { sizing } from "./sizing";

const mib = 1024n ** 2n;
const kinds = ["Deployment", "StatefulSet", "DaemonSet", "CronJob"];
const spaces = ["billing", "ingest", "ml", "shop", "search", "payments", "identity", "media"];
const parts = ["api", "worker", "cache", "gateway", "indexer", "scheduler", "proxy", "store"];
const things = ["checkout", "cart", "ledger", "catalog", "profile", "invoice", "stream", "report"];

export const workloads: Workload[] = Array.from({ length: 5000 }, (_, number) => {
  const troubled = number % 17 === 0;
  const memory = BigInt(64 + ((number * 37) % 2000)) * mib;
  return create(WorkloadSchema, {
    namespace: spaces[number % spaces.length] ?? "",
    ref: {
      kind: kinds[number % 7] ?? "Deployment",
      name:
        number === 4
          ? "proxy.v1.internal"
          : `${things[number % 8]}-${parts[Math.floor(number / 8) % 8]}-${number}`,
    },
    uid: `uid-${number}`,
    desiredReplicas: 3,
    readyReplicas: troubled ? 1 : 3,
    pods: 3,
    restarts: troubled ? 40 + number : 0,
    containers: [
      {
        name: "app",
        kind: ContainerKind.APP,
        image: "registry.example.com/team/service@sha256:0f6a9d2c",
        requests: { cpuMillis: 250n, memoryBytes: memory },
        limits: { memoryBytes: memory * 2n },
        restarts: 4,
        oomKills: troubled ? 3 : 0,
      },
      {
        name: "proxy",
        kind: ContainerKind.SIDECAR,
        image: "registry.example.com/proxy:1.2",
        restarts: 0,
      },
    ],
    requested: { cpuMillis: 750n, memoryBytes: memory * 3n },
    limits: { memoryBytes: memory * 6n },
    ...(number % 5 !== 0 && { used: { cpuMillis: 90n, memoryBytes: memory } }),
    openProblems: troubled ? 2 : 0,
    worstSeverity: troubled ? Severity.CRITICAL : Severity.UNSPECIFIED,
    createTime: timestampFromMs(Date.now() - 86_400_000 * ((number % 400) + 1)),
  });
});

const byOrder: Record<string, (workload: Workload) => number> = {
  restarts: ({ restarts }) => restarts,
  open_problems: ({ openProblems }) => openProblems,
  cpu_requested: ({ requested }) => Number(requested?.cpuMillis ?? 0),
  memory_requested: ({ requested }) => Number(requested?.memoryBytes ?? 0),
};

export function workloadService(): Partial<ServiceImpl<typeof WorkloadService>> {
  return {
    listWorkloads({ nameContains, namespaces, withProblems, orderBy, pageSize, pageToken }) {
      const found = workloads.filter(
        ({ namespace, ref, openProblems }) =>
          ref?.name.includes(nameContains) &&
          (namespaces.length === 0 || namespaces.includes(namespace)) &&
          (!withProblems || openProblems > 0),
      );
      const by = byOrder[orderBy];
      if (by) found.sort((a, b) => by(b) - by(a));
      const start = Number(pageToken || 0);
      const end = start + (pageSize || 100);
      return {
        workloads: found.slice(start, end),
        totalSize: found.length,
        nextPageToken: end < found.length ? String(end) : "",
      };
    },
    getWorkload({ namespace, kind, name }) {
      const workload = workloads.find(
        (w) => w.namespace === namespace && w.ref?.kind === kind && w.ref.name === name,
      );
      if (!workload) throw new ConnectError(`no ${kind} ${namespace}/${name}`, Code.NotFound);
      return {
        workload,
        pods: Array.from({ length: workload.pods }, (_, number) => ({
          name: `${name}-${number}`,
          uid: `pod-${number}`,
          phase: "Running",
          ready: number < workload.readyReplicas,
          node: `node-0${number}`,
          restarts: workload.restarts,
          createTime: timestampFromMs(Date.now() - 3_600_000),
          qosClass: "Burstable",
        })),
        problems:
          workload.openProblems > 0
            ? [0, 1].map((number) =>
                sampleEvent(number, {
                  namespace,
                  workload: { kind, name },
                  object: { kind: "Pod", name: `${name}-${number}`, uid: `pod-${number}` },
                  message: `Container app of pod ${name}-${number} was OOM-killed at its limit of 128 MiB`,
                }),
              )
            : [],
        managers:
          kind === "Deployment"
            ? [
                { kind: "HorizontalPodAutoscaler", name, decides: "replicas, 2 to 10, by CPU" },
                { kind: "Argo CD", name: namespace, decides: "the manifest" },
              ]
            : [],
      };
    },
    ...sizing,
  };
}
