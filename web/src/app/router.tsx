import {
  createRootRoute,
  createRoute,
  createRouter,
  type RouterHistory,
} from "@tanstack/react-router";
import { auditSearchFrom } from "../audit/search";
import { feedFilterFrom } from "../feed/filter";
import { incidentSearchFrom } from "../incidents/search";
import { policySearchFrom } from "../policies/search";
import { recommendationSearchFrom } from "../recommendations/search";
import { inboxSearchFrom } from "../remediations/search";
import { later } from "../ui/later";
import { workloadSearchFrom } from "../workloads/search";
import { usageSearchFrom } from "../workloads/usage-search";
import { NotFound, ViewBroken } from "./fallbacks";
import { parseSearch, stringifySearch } from "./search-params";
import { callbackPath, Shell } from "./shell";

// Every view is a chunk of its own. A new one needs a route here and, if it is
// to be found, an entry in navigation.ts.

const root = createRootRoute({
  component: Shell,
  notFoundComponent: NotFound,
});

const overview = createRoute({
  getParentRoute: () => root,
  path: "/",
  component: later(() => import("../overview/overview-view"), "OverviewView"),
});

const live = createRoute({
  getParentRoute: () => root,
  path: "/live",
  validateSearch: feedFilterFrom,
  component: later(() => import("../feed/live-view"), "LiveView"),
});

const incidents = createRoute({
  getParentRoute: () => root,
  path: "/incidents",
  validateSearch: incidentSearchFrom,
  component: later(() => import("../incidents/incidents-view"), "IncidentsView"),
});

const workloads = createRoute({
  getParentRoute: () => root,
  path: "/workloads",
  validateSearch: workloadSearchFrom,
  component: later(() => import("../workloads/workloads-view"), "WorkloadsView"),
});

const workload = createRoute({
  getParentRoute: () => root,
  path: "/workloads/$namespace/$kind/$name",
  validateSearch: usageSearchFrom,
  component: later(() => import("../workloads/workload-view"), "WorkloadView"),
});

const recommendations = createRoute({
  getParentRoute: () => root,
  path: "/recommendations",
  validateSearch: recommendationSearchFrom,
  component: later(() => import("../recommendations/recommendations-view"), "RecommendationsView"),
});

const approvals = createRoute({
  getParentRoute: () => root,
  path: "/approvals",
  validateSearch: inboxSearchFrom,
  component: later(() => import("../remediations/inbox-view"), "InboxView"),
});

const approval = createRoute({
  getParentRoute: () => root,
  path: "/approvals/$namespace/$name",
  component: later(() => import("../remediations/remediation-view"), "RemediationView"),
});

const policies = createRoute({
  getParentRoute: () => root,
  path: "/policies",
  validateSearch: policySearchFrom,
  component: later(() => import("../policies/policies-view"), "PoliciesView"),
});

const audit = createRoute({
  getParentRoute: () => root,
  path: "/audit",
  validateSearch: auditSearchFrom,
  component: later(() => import("../audit/audit-view"), "AuditView"),
});

const connections = createRoute({
  getParentRoute: () => root,
  path: "/connections",
  component: later(() => import("../connections/connections-view"), "ConnectionsView"),
});

const nodes = createRoute({
  getParentRoute: () => root,
  path: "/nodes",
  component: later(() => import("../nodes/nodes-view"), "NodesView"),
});

const callback = createRoute({
  getParentRoute: () => root,
  path: callbackPath,
  component: later(() => import("../login/callback-view"), "CallbackView"),
});

const routeTree = root.addChildren([
  overview,
  live,
  incidents,
  workloads,
  workload,
  recommendations,
  approvals,
  approval,
  policies,
  audit,
  nodes,
  connections,
  callback,
]);

export function newRouter(history?: RouterHistory) {
  return createRouter({
    routeTree,
    parseSearch,
    stringifySearch,
    defaultPreload: "intent",
    defaultErrorComponent: ViewBroken,
    ...(history && { history }),
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof newRouter>;
  }
}
