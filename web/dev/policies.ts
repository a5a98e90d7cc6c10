import type { ServiceImpl } from "@connectrpc/connect";
import { PolicyMode as Mode, type PolicyService } from "@rightsizer/api/policy_service";

const own = "RightSizerPolicy";
const policies = [
  {
    kind: "ClusterRightSizerPolicy",
    namespace: "",
    name: "baseline",
    generation: 7n,
    mode: Mode.RECOMMEND,
    modeByAction: {},
    ready: true,
    message: "",
  },
  {
    kind: own,
    namespace: "shop",
    name: "memory",
    generation: 3n,
    mode: Mode.AUTO,
    modeByAction: { rollout_restart: Mode.APPROVE, scale: Mode.OFF },
    ready: true,
    message: "",
  },
  {
    kind: own,
    namespace: "billing",
    name: "careful",
    generation: 2n,
    mode: Mode.APPROVE,
    modeByAction: {},
    ready: true,
    message: "",
  },
  {
    kind: own,
    namespace: "ml",
    name: "batch",
    generation: 1n,
    mode: Mode.DRY_RUN,
    modeByAction: {},
    ready: false,
    message: "window “Mon-Fri 25:00” has no such hour; hours are 00:00 to 23:59",
  },
];

export const policyService: Partial<ServiceImpl<typeof PolicyService>> = {
  listPolicies: ({ namespaces }) => ({
    policies: policies.filter(
      ({ namespace }) => !namespace || namespaces.length === 0 || namespaces.includes(namespace),
    ),
  }),
  explainPolicy({ namespace }) {
    const [baseline, ...others] = policies;
    const policy = others.find((one) => one.namespace === namespace && one.ready) ?? baseline;
    return {
      ...(policy && { policy }),
      matches: policies
        .toSorted((a, b) => Number(b === policy) - Number(a === policy))
        .map((one) => ({
          policy: one,
          selected: one === policy || one === baseline,
          reason:
            one === policy
              ? one.namespace
                ? "the most specific: it is of the workload's own namespace"
                : "the only one that reaches it"
              : one === baseline
                ? "a policy of the namespace goes before one of the cluster"
                : `it reaches namespace ${one.namespace} only`,
        })),
    };
  },
};
