import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { HealthState, NodeSchema } from "@rightsizer/api/cluster";
import type { ClusterService } from "@rightsizer/api/cluster_service";

const began = Date.now();
const gib = 1024n ** 3n;

// Whether nobody is asked who he is; OPEN=no for pictures without the banner.
const open = process.env.OPEN !== "no";

const nodes = Array.from({ length: 12 }, (_, number) =>
  create(NodeSchema, {
    name: `node-${String(number).padStart(2, "0")}`,
    uid: `node-uid-${number}`,
    ready: number !== 7,
    unschedulable: number === 3,
    pressures: number === 5 ? ["MemoryPressure"] : [],
    allocatable: { cpuMillis: 16_000n, memoryBytes: 64n * gib },
    requested: {
      cpuMillis: BigInt(4000 + 900 * number),
      memoryBytes: BigInt(20 + number * 3) * gib,
    },
    ...(number !== 7 && { used: { cpuMillis: 2500n, memoryBytes: BigInt(14 + number) * gib } }),
    pods: 20 + number,
    instanceType: "m6i.4xlarge",
    zone: `eu-central-1${"abc"[number % 3]}`,
    kubeletVersion: "v1.37.2",
    createTime: timestampFromMs(began - 86_400_000 * (number + 1)),
    openProblems: number === 7 ? 14 : number % 3,
  }),
);

export function clusterService(startingSeconds: number): ServiceImpl<typeof ClusterService> {
  const left = () => startingSeconds - (Date.now() - began) / 1000;
  return {
    getCluster() {
      if (left() > 0) throw new ConnectError("not synced", Code.Unavailable);
      return {
        cluster: {
          id: "8f2f1f3e-6a52-4e0c-9d8e-2a4f5b6c7d8e",
          name: "devcluster",
          environment: "development",
          provider: "kwok",
          version: "v1.37.2",
          nodes: nodes.length,
          readyNodes: nodes.filter(({ ready }) => ready).length,
          pods: 4931,
          runningPods: 4872,
          capacity: { cpuMillis: 192_000n, memoryBytes: 768n * gib },
          requested: { cpuMillis: 107_400n, memoryBytes: 438n * gib },
          used: { cpuMillis: 30_100n, memoryBytes: 231n * gib },
          openProblems: 37,
          operatorVersion: "v0.1.0-dev",
          syncedTime: timestampFromMs(began),
        },
      };
    },
    getHealth() {
      const since = timestampFromMs(began);
      const ok = { state: HealthState.OK, since };
      if (left() <= 0)
        return {
          state: HealthState.OK,
          open,
          components: ["kubernetes", "watch/pods", "watch/nodes", "bus", "stream"].map(
            (component) => ({
              component,
              ...ok,
            }),
          ),
        };
      const built = Math.round(1380 * (1 - left() / startingSeconds));
      return {
        state: HealthState.STARTING,
        open,
        components: [
          {
            component: "kubernetes",
            state: HealthState.STARTING,
            since,
            reason: `devcluster is building the control plane: ${built} of 1380 packages, about ${Math.ceil(left() / 60)} min left`,
          },
          {
            component: "watch/pods",
            state: HealthState.STARTING,
            since,
            reason: "waits for kubernetes",
          },
          { component: "bus", ...ok },
          { component: "stream", ...ok },
        ],
      };
    },
    listNodes() {
      return { nodes, totalSize: nodes.length };
    },
  };
}
