import type { AuditRecord } from "@rightsizer/api/audit_service";
import { RemediationState } from "@rightsizer/api/remediation";
import { Link } from "@tanstack/react-router";
import { Field } from "../feed/field";
import { count } from "../format/quantity";
import { Patch } from "../remediations/patch";
import { stateName } from "../remediations/states";
import { Untrusted } from "../ui/untrusted";
import { When } from "../ui/when";

// One line a record; each opens with all that is in it.
export function RecordList({ records }: { records: readonly AuditRecord[] }) {
  return (
    <ul className="panel divide-y divide-line">
      {records.map((record) => (
        <li key={String(record.sequence)} data-row="">
          <details>
            <summary className="grid grid-cols-[4rem_5.5rem_minmax(9rem,14rem)_minmax(8rem,14rem)_1fr] items-baseline gap-x-3 px-3 py-1.5 hover:bg-raised max-md:grid-cols-[1fr_auto] max-md:gap-y-0.5 *:min-w-0 *:truncate">
              <span className="text-xs text-soft tabular-nums max-md:order-2">
                #{count(record.sequence)}
              </span>
              <span className="tabular-nums max-md:order-4">
                <When time={record.time} />
              </span>
              <Untrusted text={record.action} className="font-mono text-xs max-md:order-1" />
              <Untrusted text={record.actor || "the operator"} className="max-md:order-3" />
              <span className="max-md:order-5 max-md:col-span-2">
                <Untrusted text={record.target} />
                {record.reason && (
                  <span className="text-soft">
                    {": "}
                    <Untrusted text={record.reason} />
                  </span>
                )}
              </span>
            </summary>
            <Details record={record} />
          </details>
        </li>
      ))}
    </ul>
  );
}

function Details({ record }: { record: AuditRecord }) {
  const { namespace, remediation, policy, stateBefore, stateAfter, evidence } = record;
  return (
    <div className="flex flex-col gap-3 border-t border-line bg-page px-3 py-3">
      <dl className="grid gap-x-3 sm:grid-cols-[9rem_1fr] sm:gap-y-1">
        <Field name="When">
          <When time={record.time} exact />
        </Field>
        <Text name="Who" value={record.actor} />
        <Text name="In groups" value={record.actorGroups.join(", ")} />
        <Text name="Namespace" value={namespace} />
        <Text name="Target" value={record.target} />
        <Text name="Why" value={record.reason} />
        {stateAfter !== RemediationState.UNSPECIFIED && (
          <Field name="State">
            {stateBefore !== RemediationState.UNSPECIFIED && `${stateName(stateBefore)} → `}
            {stateName(stateAfter)}
          </Field>
        )}
        {remediation && (
          <Field name="Remediation">
            {namespace ? (
              <Link
                to="/approvals/$namespace/$name"
                params={{ namespace, name: remediation }}
                className="bare-link break-all"
              >
                <Untrusted text={remediation} />
              </Link>
            ) : (
              <Untrusted text={remediation} />
            )}
          </Field>
        )}
        <Text name="Policy" value={policy && `${policy}, generation ${record.policyGeneration}`} />
        {Object.entries(evidence).map(([name, value]) => (
          <Text key={name} name={name} value={value} />
        ))}
        <Text name="Written by" value={record.replica} />
        <Hash name="Hash" value={record.hash} />
        <Hash name="Hash before" value={record.previousHash} />
      </dl>
      <Patch diff={record.diff} />
    </div>
  );
}

function Text({ name, value }: { name: string; value: string }) {
  return value === "" ? null : (
    <Field name={name}>
      <Untrusted text={value} />
    </Field>
  );
}

function Hash({ name, value }: { name: string; value: string }) {
  return value === "" ? null : (
    <Field name={name}>
      <Untrusted text={value} className="font-mono text-xs break-all" />
    </Field>
  );
}
