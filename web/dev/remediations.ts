import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import {
  type Remediation,
  RemediationSchema,
  RiskLevel,
  RemediationState as State,
} from "@rightsizer/api/remediation";
import type { RemediationService } from "@rightsizer/api/remediation_service";
import { recordChange } from "./audit";
import { page } from "./chance";
import { workloads } from "./workloads";

const reasons = [
  "3 replicas, 1 ready",
  "no restart is needed: the resize happens in place",
  "PodDisruptionBudget allows 0 evictions",
  "memory grows by 60 %; the node has 3.1 GiB free",
  "data is 22 s old",
  "namespace shop is marked as production",
];

const ends = [
  State.SUCCEEDED,
  State.SUCCEEDED,
  State.SUCCEEDED,
  State.ROLLED_BACK,
  State.ESCALATED,
  State.REJECTED,
  State.EXPIRED,
  State.FAILED,
  State.DRY_RUN,
];
const running = [State.APPROVED, State.EXECUTING, State.VERIFYING];

function stateOf(number: number): State {
  if (number < 12) return State.PENDING_APPROVAL;
  if (number < 16) return running[number % 3] ?? State.APPROVED;
  return ends[number % ends.length] ?? State.SUCCEEDED;
}

function patch(kind: string, memory: bigint): string {
  const base = kind === "resize_in_place" ? "/spec" : "/spec/template/spec";
  const at = (list: string) => `${base}/containers/0/resources/${list}/memory`;
  const was = (memory * 10n) / 16n;
  return JSON.stringify([
    { op: "test", path: at("requests"), value: mebi(was) },
    { op: "replace", path: at("requests"), value: mebi(memory) },
    { op: "test", path: at("limits"), value: mebi(was * 2n) },
    { op: "replace", path: at("limits"), value: mebi(memory * 2n) },
  ]);
}

function mebi(bytes: bigint): string {
  return `${bytes / 1_048_576n}Mi`;
}

const sizing = ["resize_in_place", "resize_template", "export"];
const others: Record<
  string,
  { diff: string; action: { replicas?: number; parameters?: Record<string, string> } }
> = {
  scale: {
    diff: '[{"op":"test","path":"/spec/maxReplicas","value":6},{"op":"replace","path":"/spec/maxReplicas","value":9}]',
    action: { replicas: 9, parameters: { autoscaler: "api", bound: "maxReplicas" } },
  },
  restart_pod: {
    diff: "",
    action: { parameters: { pod: "api-7c9d8b6f5-0x2kq", podUID: "0b7e6f1a" } },
  },
  rollout_restart: {
    diff: '[{"op":"add","path":"/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt","value":"2026-05-04T10:00:00Z"}]',
    action: {},
  },
  webhook: { diff: "", action: { parameters: { endpoint: "pager" } } },
};

const remediations: Remediation[] = Array.from({ length: 320 }, (_, number) => {
  const workload = workloads[number * 17];
  const state = stateOf(number);
  const kind =
    number % 2 === 0
      ? "resize_in_place"
      : (["resize_template", "rollout_restart", "scale", "export", "restart_pod", "webhook"][
          ((number - 1) / 2) % 6
        ] ?? "");
  const memory = ((workload?.containers[0]?.requests?.memoryBytes ?? 0n) * 16n) / 10n;
  const made = Date.now() - 90_000 - number * 1_400_000;
  const sized = sizing.includes(kind);
  return create(RemediationSchema, {
    namespace: workload?.namespace ?? "shop",
    name: `r-${(0x9e3779b9 * (number + 1)).toString(16).slice(0, 12)}`,
    uid: `remediation-${number}`,
    etag: "1",
    generation: 1n,
    state,
    action: {
      kind,
      ...others[kind]?.action,
      ...(sized && { requests: { memoryBytes: memory }, limits: { memoryBytes: memory * 2n } }),
    },
    ...(workload?.ref && { workload: { kind: workload.ref.kind, name: workload.ref.name } }),
    container: sized ? "app" : "",
    risk: ((number % 4) + 1) as RiskLevel,
    riskReasons: reasons.slice(0, 2 + (number % 4)),
    diff: sized ? patch(kind, memory) : (others[kind]?.diff ?? ""),
    policy: `RightSizerPolicy/${workload?.namespace}/memory`,
    requestedBy: number % 6 === 0 ? "ana@example.com" : "",
    decidedBy: state === State.PENDING_APPROVAL ? "" : "ben@example.com",
    message: messageOf(state),
    targets:
      state === State.PENDING_APPROVAL
        ? []
        : Array.from({ length: 3 }, (_, pod) => ({
            pod: `${workload?.ref?.name}-7c9d8b6f5-${pod}x2kq`,
            uid: `pod-${number}-${pod}`,
            result:
              state === State.FAILED
                ? "Failed"
                : state === State.ROLLED_BACK
                  ? "Reverted"
                  : "Confirmed",
            message:
              state === State.FAILED
                ? "Infeasible: the node lacks 1.2 GiB"
                : "resized in place, no restart",
            updateTime: timestampFromMs(made + 40_000),
          })),
    createTime: timestampFromMs(made),
    updateTime: timestampFromMs(made + 60_000),
    ...(state === State.PENDING_APPROVAL && {
      expireTime: timestampFromMs(Date.now() + 240_000 + number * 1_100_000),
    }),
    dryRun: state === State.DRY_RUN,
  });
});

function messageOf(state: State): string {
  switch (state) {
    case State.PENDING_APPROVAL:
      return "OOM-killed 3 times within 10 minutes at its limit; a raise by 60 % is expected to hold.";
    case State.SUCCEEDED:
      return "No OOM kill and no restart within the 10 minutes after.";
    case State.ROLLED_BACK:
      return "Restarts went on after the resize; the former size is in force again.";
    case State.ESCALATED:
      return "It was killed again after three raises: this looks like a leak.";
    case State.FAILED:
      return "The kubelet calls the resize infeasible on every node.";
    default:
      return "";
  }
}

function find(namespace: string, name: string, etag?: string): Remediation {
  const found = remediations.find((one) => one.namespace === namespace && one.name === name);
  if (!found) throw new ConnectError(`no remediation ${namespace}/${name}`, Code.NotFound);
  if (etag !== undefined && etag !== found.etag)
    throw new ConnectError(`etag is ${found.etag} now, not ${etag}`, Code.Aborted);
  return found;
}

function move(one: Remediation, state: State, reason: string): Remediation {
  recordChange(one, one.state, state, reason);
  one.state = state;
  one.etag = String(Number(one.etag) + 1);
  one.decidedBy = "you@example.com";
  one.message = messageOf(state);
  one.updateTime = timestampFromMs(Date.now());
  return one;
}

// An approval is carried out and verified within seconds here.
function carryOut(one: Remediation) {
  const steps = [State.EXECUTING, State.VERIFYING, State.SUCCEEDED];
  steps.forEach((state, index) => {
    setTimeout(() => move(one, state, "by its policy"), 1500 * (index + 1)).unref();
  });
}

export const remediationService: Partial<ServiceImpl<typeof RemediationService>> = {
  listRemediations({ namespaces, states, pageSize, pageToken }) {
    const found = remediations.filter(
      ({ namespace, state }) =>
        (namespaces.length === 0 || namespaces.includes(namespace)) &&
        (states.length === 0 || states.includes(state)),
    );
    const { entries, nextPageToken } = page(found, pageSize, pageToken);
    return { remediations: entries, nextPageToken };
  },
  getRemediation: ({ namespace, name }) => ({ remediation: find(namespace, name) }),
  approveRemediation({ namespace, name, etag, reason }) {
    const one = move(find(namespace, name, etag), State.APPROVED, reason);
    carryOut(one);
    return { remediation: one };
  },
  rejectRemediation: ({ namespace, name, etag, reason }) => ({
    remediation: move(find(namespace, name, etag), State.REJECTED, reason),
  }),
  cancelRemediation: ({ namespace, name, etag, reason }) => ({
    remediation: move(find(namespace, name, etag), State.CANCELLED, reason),
  }),
  rollbackRemediation: ({ namespace, name, etag, reason }) => ({
    remediation: move(find(namespace, name, etag), State.ROLLED_BACK, reason),
  }),
  createRemediation({ namespace, kind, name, container, action }) {
    const memory = action?.requests?.memoryBytes ?? 0n;
    return {
      remediation: {
        namespace,
        name: "dry-run",
        state: State.DRY_RUN,
        workload: { kind, name },
        container,
        ...(action && { action }),
        risk: RiskLevel.MEDIUM,
        riskReasons: reasons.slice(0, 3),
        diff: memory > 0n ? patch(action?.kind ?? "", memory) : "",
        message: "The API server took it in a dry run.",
        dryRun: true,
      },
    };
  },
};
