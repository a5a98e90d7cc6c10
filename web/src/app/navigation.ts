import {
  ApprovalIcon,
  AuditIcon,
  HomeIcon,
  IncidentIcon,
  NodeIcon,
  PlugIcon,
  PolicyIcon,
  PulseIcon,
  ScaleIcon,
  WorkloadIcon,
} from "../ui/icons";

// The views in the order of the navigation, by what a reader comes for.
export const navigation = [
  {
    name: "Now",
    views: [
      { to: "/", name: "Overview", Icon: HomeIcon },
      { to: "/live", name: "Live", Icon: PulseIcon },
      { to: "/incidents", name: "Incidents", Icon: IncidentIcon },
    ],
  },
  {
    name: "Sizes",
    views: [
      { to: "/workloads", name: "Workloads", Icon: WorkloadIcon },
      { to: "/recommendations", name: "Recommendations", Icon: ScaleIcon },
      { to: "/approvals", name: "Approvals", Icon: ApprovalIcon },
    ],
  },
  {
    name: "Rules and records",
    views: [
      { to: "/policies", name: "Policies", Icon: PolicyIcon },
      { to: "/audit", name: "Audit", Icon: AuditIcon },
    ],
  },
  {
    name: "Cluster",
    views: [
      { to: "/nodes", name: "Nodes", Icon: NodeIcon },
      { to: "/connections", name: "Connections", Icon: PlugIcon },
    ],
  },
] as const;

export const views = navigation.flatMap((group) => [...group.views]);
