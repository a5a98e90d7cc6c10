import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { EventService } from "@rightsizer/api/event_service";
import { RemediationService } from "@rightsizer/api/remediation_service";
import { useMemo } from "react";
import { partOf } from "../ui/part";
import { happeningsOf } from "./happening";
import { keptOf } from "./kept";

interface Of {
  namespace: string;
  kind: string;
  name: string;
}

export const pageSizes = { events: 200, actions: 1000 };

export function useHappenings({ namespace, kind, name }: Of, from: number) {
  const kept = keptOf(namespace, kind, name);
  const events = useQuery(
    EventService.method.listEvents,
    {
      filter: { namespaces: [namespace], workloads: [`${kind}/${name}`] },
      startTime: timestampFromMs(from),
      pageSize: pageSizes.events,
    },
    { ...kept, refetchInterval: 5000, retry: false },
  );
  // The schema has no filter by workload: the namespace's latest are looked through.
  const remediations = useQuery(
    RemediationService.method.listRemediations,
    { namespaces: [namespace], pageSize: pageSizes.actions },
    { refetchInterval: 10_000, retry: false },
  );
  const happenings = useMemo(() => {
    const own = (remediations.data?.remediations ?? []).filter(
      ({ workload }) => workload?.kind === kind && workload.name === name,
    );
    return happeningsOf(events.data?.events ?? [], own, from);
  }, [events.data, remediations.data, kind, name, from]);
  return { happenings, events: partOf(events), actions: partOf(remediations) };
}
