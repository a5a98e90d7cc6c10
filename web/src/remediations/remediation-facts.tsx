import type { Remediation } from "@rightsizer/api/remediation";
import { Link } from "@tanstack/react-router";
import { Field } from "../feed/field";
import { Card } from "../ui/card";
import { Untrusted } from "../ui/untrusted";
import { When } from "../ui/when";
import { WorkloadLink } from "../ui/workload-link";
import { Expiry } from "./expiry";
import { mayDecide } from "./states";

export function RemediationFacts({ remediation, now }: { remediation: Remediation; now: number }) {
  const { namespace, name, workload, container, policy, requestedBy, decidedBy } = remediation;
  return (
    <Card title="About">
      <dl className="grid gap-x-3 p-3 sm:grid-cols-[8rem_1fr] sm:gap-y-1">
        <Field name="Workload">
          {workload && <span className="text-soft">{workload.kind} </span>}
          <WorkloadLink namespace={namespace} workload={workload} />
        </Field>
        {container && (
          <Field name="Container">
            <Untrusted text={container} />
          </Field>
        )}
        <Field name="Policy">
          {policy ? <Untrusted text={policy} /> : <span className="text-soft">none</span>}
        </Field>
        <Field name="Asked for by">
          {requestedBy ? <Untrusted text={requestedBy} /> : "the policy"}
        </Field>
        {decidedBy && (
          <Field name="Decided by">
            <Untrusted text={decidedBy} />
          </Field>
        )}
        <Field name="Made">
          <When time={remediation.createTime} exact />
        </Field>
        <Field name="Last change">
          <When time={remediation.updateTime} exact />
        </Field>
        {mayDecide(remediation) && (
          <Field name="Expires">
            <Expiry time={remediation.expireTime} now={now} />
          </Field>
        )}
        <Field name="Object">
          <Untrusted text={name} className="font-mono text-xs break-all" />
        </Field>
        <Field name="Record">
          <Link to="/audit" search={{ remediation: name }} className="bare-link">
            Find it in the audit
          </Link>
        </Field>
      </dl>
    </Card>
  );
}
