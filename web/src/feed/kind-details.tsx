import {
  ContainerKind,
  type CrashLoopDetails,
  type Event,
  type OomKilledDetails,
} from "@rightsizer/api/event";
import { bytes, plural } from "../format/quantity";
import { durationMs, span } from "../format/time";
import { Untrusted } from "../ui/untrusted";
import { When } from "../ui/when";
import { Field } from "./field";

export const containerKinds: Record<ContainerKind, string> = {
  [ContainerKind.UNSPECIFIED]: "unknown",
  [ContainerKind.APP]: "app",
  [ContainerKind.INIT]: "init",
  [ContainerKind.SIDECAR]: "sidecar",
  [ContainerKind.EPHEMERAL]: "ephemeral",
};

// What is particular to the type of an event. A kind of details that this build
// does not know shows in the copied JSON only.
export function KindDetails({ details }: { details: Event["details"] }) {
  switch (details.case) {
    case "oomKilled":
      return <OomKilled details={details.value} />;
    case "crashLoop":
      return <CrashLoop details={details.value} />;
    default:
      return null;
  }
}

function OomKilled({ details }: { details: OomKilledDetails }) {
  return (
    <>
      <Field name="Container kind">{containerKinds[details.containerKind]}</Field>
      <Field name="Memory limit">
        {details.memoryLimitBytes > 0n
          ? bytes(details.memoryLimitBytes)
          : "none: the node ran out of memory"}
      </Field>
      <Field name="Memory request">
        {details.memoryRequestBytes > 0n ? bytes(details.memoryRequestBytes) : "none"}
      </Field>
      <Field name="Exit code">{details.exitCode}</Field>
      <Field name="Attempt">after {plural(details.attempt, "restart")}</Field>
      {details.startedTime && (
        <Field name="Started">
          <When time={details.startedTime} exact />
        </Field>
      )}
      {details.lifetime && <Field name="Lived">{span(durationMs(details.lifetime))}</Field>}
    </>
  );
}

function CrashLoop({ details }: { details: CrashLoopDetails }) {
  return (
    <>
      <Field name="Container kind">{containerKinds[details.containerKind]}</Field>
      <Field name="Restarts">{details.restartCount}</Field>
      <Field name="Last exit">
        code {details.lastExitCode}
        {details.lastReason && (
          <>
            , <Untrusted text={details.lastReason} />
          </>
        )}
      </Field>
      {details.lastFinishedTime && (
        <Field name="Last ended">
          <When time={details.lastFinishedTime} exact />
        </Field>
      )}
      {details.backoff && (
        <Field name="Next attempt">after about {span(durationMs(details.backoff))}</Field>
      )}
    </>
  );
}
