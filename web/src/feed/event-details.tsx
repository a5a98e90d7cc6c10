import { toJsonString } from "@bufbuild/protobuf";
import { type Event, EventSchema, Phase } from "@rightsizer/api/event";
import { Link } from "@tanstack/react-router";
import { CopyButton } from "../ui/copy-button";
import { SeverityMark } from "../ui/severity";
import { Untrusted } from "../ui/untrusted";
import { When } from "../ui/when";
import { Field } from "./field";
import { IncidentOf } from "./incident-of";
import { KindDetails } from "./kind-details";

const phases: Record<Phase, string> = {
  [Phase.UNSPECIFIED]: "unknown",
  [Phase.OPENED]: "the problem began",
  [Phase.UPDATED]: "the problem goes on",
  [Phase.RESOLVED]: "the problem is over",
  [Phase.POINT]: "happened once",
};

// Every field of an event.
export function EventDetails({ event }: { event: Event }) {
  const { workload, object, namespace } = event;
  return (
    <>
      <p className="flex flex-wrap items-center gap-2">
        <SeverityMark severity={event.severity} />
        <Untrusted text={event.type} className="font-mono text-xs" />
      </p>
      <p className="mt-2 break-words">
        <Untrusted text={event.message} />
      </p>
      <dl className="mt-3 grid gap-x-3 sm:grid-cols-[7rem_1fr] sm:gap-y-1">
        <Field name="Occurred">
          <When time={event.occurredTime} exact />
        </Field>
        <Field name="Seen">
          <When time={event.observedTime} exact />
        </Field>
        <Field name="Phase">
          {phases[event.phase]}
          {event.foundAtStart && "; found as the operator started"}
        </Field>
        <Text name="Reason" value={event.reason} />
        <Text name="Namespace" value={namespace} />
        {workload && (
          <Field name="Workload">
            <Link
              to="/workloads/$namespace/$kind/$name"
              params={{ namespace, kind: workload.kind, name: workload.name }}
              className="bare-link break-words"
            >
              <Untrusted text={`${workload.kind}/${workload.name}`} />
            </Link>
          </Field>
        )}
        {object && <Text name="Object" value={`${object.kind}/${object.name}`} />}
        <IncidentOf event={event} />
        <Text name="Container" value={event.container} />
        <Text name="Node" value={event.node} />
        <KindDetails details={event.details} />
        {Object.entries(event.tags).map(([key, value]) => (
          <Text key={key} name={`Tag ${key}`} value={value} />
        ))}
        <Id name="Object UID" value={object?.uid ?? ""} />
        <Id name="Event" value={event.id} />
        <Id name="Problem" value={event.problemId} />
        <Id name="Correlation" value={event.correlationId} />
        <Id name="Cluster" value={event.cluster} />
      </dl>
      <div className="mt-4 flex items-center gap-3">
        <CopyButton
          label="Copy as JSON"
          text={() => toJsonString(EventSchema, event, { prettySpaces: 2 })}
        />
      </div>
    </>
  );
}

// Left out where the event does not have it.
function Text({ name, value }: { name: string; value: string }) {
  return value === "" ? null : (
    <Field name={name}>
      <Untrusted text={value} />
    </Field>
  );
}

function Id({ name, value }: { name: string; value: string }) {
  return value === "" ? null : (
    <Field name={name}>
      <Untrusted text={value} className="font-mono text-xs break-all" />
    </Field>
  );
}
