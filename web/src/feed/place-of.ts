import type { Event } from "@rightsizer/api/event";

// Namespace and workload; where there is no workload, the object.
export function placeOf({ namespace, workload, object }: Event): string {
  const name = workload?.name ?? object?.name ?? "";
  return namespace ? `${namespace}/${name}` : name;
}
