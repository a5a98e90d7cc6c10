import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { EventService } from "@rightsizer/api/event_service";
import { RemediationService } from "@rightsizer/api/remediation_service";
import { keepPreviousData } from "@tanstack/react-query";
import { useMemo } from "react";
import { happeningsOf } from "./happening";

interface Of {
  namespace: string;
  kind: string;
  name: string;
}

export function useHappenings({ namespace, kind, name }: Of, from: number) {
  const events = useQuery(
    EventService.method.listEvents,
    {
      filter: { namespaces: [namespace], workloads: [`${kind}/${name}`] },
      startTime: timestampFromMs(from),
      pageSize: 200,
    },
    { placeholderData: keepPreviousData, refetchInterval: 5000, retry: false },
  );
  // The schema has no filter by workload: the namespace's latest are looked through.
  const remediations = useQuery(
    RemediationService.method.listRemediations,
    { namespaces: [namespace], pageSize: 1000 },
    { placeholderData: keepPreviousData, refetchInterval: 10_000, retry: false },
  );
  const happenings = useMemo(() => {
    const own = (remediations.data?.remediations ?? []).filter(
      ({ workload }) => workload?.kind === kind && workload.name === name,
    );
    return happeningsOf(events.data?.events ?? [], own, from);
  }, [events.data, remediations.data, kind, name, from]);
  return { happenings, error: events.error ?? undefined };
}
