import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { type AuditFinding, AuditService } from "@rightsizer/api/audit_service";
import { explain } from "../api/failure";
import { count, plural } from "../format/quantity";
import { Badge } from "../ui/badge";
import { CheckIcon, ErrorIcon } from "../ui/icons";
import { Untrusted } from "../ui/untrusted";
import { When } from "../ui/when";

// Whether the chain of records is whole. Asked for, since it walks all of them.
export function Verify() {
  const query = useQuery(
    AuditService.method.verifyAudit,
    {},
    { enabled: false, retry: false, staleTime: Number.POSITIVE_INFINITY },
  );
  const { data, error, isFetching, dataUpdatedAt } = query;
  return (
    <section
      aria-label="Verification"
      tabIndex={-1}
      className="panel flex flex-col gap-2 px-3 py-2.5"
    >
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <button
          type="button"
          className="field"
          disabled={isFetching}
          onClick={() => void query.refetch()}
        >
          {isFetching ? "Verifying" : "Verify the chain"}
        </button>
        <p role="status" className="min-w-0">
          {error ? (
            <span className="flex items-center gap-2 text-error">
              <ErrorIcon /> {explain(error).title}
            </span>
          ) : !data ? (
            <span className="text-soft">
              Each record carries the hash of the one before. Verifying finds what was edited, cut
              out or cut off.
            </span>
          ) : data.valid ? (
            <span className="flex flex-wrap items-center gap-2 text-good">
              <CheckIcon /> Whole: {plural(data.records, "record")} checked at{" "}
              <When time={timestampFromMs(dataUpdatedAt)} />
            </span>
          ) : (
            <span className="flex flex-wrap items-center gap-2 font-medium text-error">
              <ErrorIcon /> Not whole: {plural(data.findings.length, "finding")} in{" "}
              {plural(data.records, "record")}
            </span>
          )}
        </p>
      </div>
      {data && data.findings.length > 0 && <Findings findings={data.findings} />}
    </section>
  );
}

function Findings({ findings }: { findings: readonly AuditFinding[] }) {
  return (
    <ul className="flex flex-col gap-1 border-t border-line pt-2">
      {findings.map(({ sequence, kind, message }) => (
        <li key={`${sequence} ${kind} ${message}`} className="flex flex-wrap items-baseline gap-2">
          <Badge tone="error">
            <Untrusted text={kind} />
          </Badge>
          <span className="tabular-nums">#{count(sequence)}</span>
          <Untrusted text={message} className="min-w-0 break-words" />
        </li>
      ))}
    </ul>
  );
}
