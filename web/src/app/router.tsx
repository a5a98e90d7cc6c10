import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  type RouterHistory,
} from "@tanstack/react-router";
import { feedFilterFrom } from "../feed/filter";
import { workloadSearchFrom } from "../workloads/search";
import { NotFound, ViewBroken } from "./fallbacks";
import { parseSearch, stringifySearch } from "./search-params";
import { Shell } from "./shell";

// Every view is a chunk of its own. A new one needs a route here and, if it is
// to be found, an entry in navigation.ts.

const root = createRootRoute({
  component: Shell,
  notFoundComponent: NotFound,
});

const live = createRoute({
  getParentRoute: () => root,
  path: "/",
  validateSearch: feedFilterFrom,
  component: lazyRouteComponent(() => import("../feed/live-view"), "LiveView"),
});

const workloads = createRoute({
  getParentRoute: () => root,
  path: "/workloads",
  validateSearch: workloadSearchFrom,
  component: lazyRouteComponent(() => import("../workloads/workloads-view"), "WorkloadsView"),
});

const workload = createRoute({
  getParentRoute: () => root,
  path: "/workloads/$namespace/$kind/$name",
  component: lazyRouteComponent(() => import("../workloads/workload-view"), "WorkloadView"),
});

const nodes = createRoute({
  getParentRoute: () => root,
  path: "/nodes",
  component: lazyRouteComponent(() => import("../nodes/nodes-view"), "NodesView"),
});

const routeTree = root.addChildren([live, workloads, workload, nodes]);

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
