import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { AuditService } from "@rightsizer/api/audit_service";
import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useMemo } from "react";
import { fault, list } from "../feed/filter";
import { FilterField } from "../feed/filter-field";
import { Choice } from "../ui/choice";
import { Empty } from "../ui/empty";
import { Loaded } from "../ui/loaded";
import { Pager } from "../ui/pager";
import { usePages } from "../ui/use-pages";
import { ViewTitle } from "../ui/view-title";
import { DownloadButton } from "./download-button";
import { RecordList } from "./record-list";
import { type AuditSearch, sinceMs, sinces } from "./search";
import { Verify } from "./verify";

const route = getRouteApi("/audit");
const pageSize = 50;
const periods = [
  { value: "all", name: "All" } as const,
  ...sinces.map((value) => ({ value, name: value })),
];

// Who did what, to what, why and when.
export function AuditView() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const pages = usePages(JSON.stringify(search));
  const namespaceFault = fault("namespace", search.namespace);
  const { since } = search;
  // Fixed while the page is looked at, lest pages shift.
  const startTime = useMemo(
    () => (since ? timestampFromMs(Date.now() - sinceMs[since]) : undefined),
    [since],
  );
  const asked = {
    namespaces: namespaceFault ? [] : list(search.namespace),
    remediation: search.remediation ?? "",
    ...(startTime && { startTime }),
  };
  const query = useQuery(
    AuditService.method.listAuditRecords,
    { ...asked, pageSize, pageToken: pages.token },
    { placeholderData: keepPreviousData, refetchInterval: pages.number === 0 ? 10_000 : false },
  );
  function set(field: keyof AuditSearch, value: string) {
    const { [field]: _, ...rest } = search;
    void navigate({ search: value === "" ? rest : { ...rest, [field]: value }, replace: true });
  }

  return (
    <>
      <div className="flex flex-wrap items-center justify-between gap-3">
        <ViewTitle title="Audit" />
        <DownloadButton asked={asked} />
      </div>
      <Verify />
      <search tabIndex={-1} className="flex flex-wrap items-end gap-3">
        <FilterField
          label="Namespace"
          example="shop"
          value={search.namespace ?? ""}
          fault={namespaceFault}
          suggestions={[]}
          onCommit={(value) => set("namespace", value)}
        />
        <FilterField
          label="Remediation"
          example="name of one"
          value={search.remediation ?? ""}
          fault={undefined}
          suggestions={[]}
          onCommit={(value) => set("remediation", value)}
        />
        <Choice
          label="Period"
          options={periods}
          value={since ?? "all"}
          onChange={(value) => set("since", value === "all" ? "" : value)}
        />
      </search>
      <Loaded query={query} what="audit records">
        {({ records, nextPageToken }) =>
          records.length === 0 ? (
            <Empty title="No records">
              {Object.keys(search).length > 0
                ? "None match the filter."
                : "Whatever the operator changes, and whoever decides about it, is recorded here before it happens."}
            </Empty>
          ) : (
            <div className={`flex flex-col gap-2 ${query.isPlaceholderData ? "opacity-60" : ""}`}>
              <RecordList records={records} />
              <Pager
                pages={pages}
                shown={records.length}
                pageSize={pageSize}
                next={nextPageToken}
                what="record"
              />
            </div>
          )
        }
      </Loaded>
    </>
  );
}
