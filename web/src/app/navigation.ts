// The views in the order of the navigation.
export const navigation = [
  { to: "/", name: "Live" },
  { to: "/workloads", name: "Workloads" },
  { to: "/nodes", name: "Nodes" },
] as const;
