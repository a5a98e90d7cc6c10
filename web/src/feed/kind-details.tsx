import type { DescField } from "@bufbuild/protobuf";
import { isMessage, ScalarType } from "@bufbuild/protobuf";
import { DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { ContainerKind, type Event, EventSchema } from "@rightsizer/api/event";
import { UsageDetailsSchema } from "@rightsizer/api/event_usage";
import { bytes, count, cpu, share } from "../format/quantity";
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

// What is particular to the type of an event, read from the schema: a new kind of
// details needs no code here. What is not set is left out.
export function KindDetails({ details }: { details: Event["details"] }) {
  if (details.case === undefined) return null;
  const { message } = EventSchema.field[details.case] ?? {};
  if (!message) return null;
  return <Fields fields={message.fields} values={details.value} />;
}

interface FieldsProps {
  fields: readonly DescField[];
  values: object;
  under?: string; // name of the message around it
}

function Fields({ fields, values, under = "" }: FieldsProps) {
  return fields.map((field) => {
    const value: unknown = Reflect.get(values, field.localName);
    const name = under ? `${under}, ${label(field)}` : capital(label(field));
    if (field.fieldKind === "message" && !isMoment(field) && isMessage(value))
      return <Fields key={field.name} fields={field.message.fields} values={value} under={name} />;
    if (field.fieldKind === "list" && field.listKind === "message" && Array.isArray(value))
      return value.map((one: object, index) => (
        <Fields
          // biome-ignore lint/suspicious/noArrayIndexKey: an event never changes
          key={`${field.name} ${index}`}
          fields={field.message.fields}
          values={one}
          under={`${name} ${index + 1}`}
        />
      ));
    const shown = isAmount(field) ? amount(values, value) : show(field, value);
    return shown === undefined ? null : (
      <Field key={field.name} name={name}>
        {shown}
      </Field>
    );
  });
}

function isMoment(field: DescField): boolean {
  const { typeName } = field.message ?? {};
  return typeName === TimestampSchema.typeName || typeName === DurationSchema.typeName;
}

function isAmount(field: DescField): boolean {
  return field.parent.typeName === UsageDetailsSchema.typeName && field.scalar === ScalarType.INT64;
}

// What is used and what bounds it are of the resource beside them; 0 is what is not
// measured.
function amount(values: object, value: unknown) {
  if (typeof value !== "bigint" || value === 0n || !isMessage(values, UsageDetailsSchema))
    return undefined;
  switch (values.resource) {
    case "memory":
      return bytes(value);
    case "cpu":
      return cpu(value);
    default:
      return count(value);
  }
}

// The unit is in the name: memory_limit_bytes, requested_cpu_millis.
function show(field: DescField, value: unknown) {
  if (isMessage(value, TimestampSchema)) return <When time={value} exact />;
  if (isMessage(value, DurationSchema)) return span(durationMs(value));
  if (field.fieldKind === "enum" && typeof value === "number") {
    const found = value === 0 ? undefined : field.enum.value[value];
    return found && words(found.localName);
  }
  switch (typeof value) {
    case "string":
      return value === "" ? undefined : <Untrusted text={value} />;
    case "bigint":
      // 0 bytes or millicores is what is not set.
      if (field.name.endsWith("_bytes")) return value === 0n ? "none" : bytes(value);
      if (field.name.endsWith("_millis")) return value === 0n ? "none" : cpu(value);
      return count(value);
    case "number":
      // Shares and how sure one is: no event has a fraction of another kind.
      return field.scalar === ScalarType.DOUBLE ? share(value) : count(value);
    case "boolean":
      return value ? "yes" : "no";
    default:
      return undefined;
  }
}

// "memory_limit_bytes" is "memory limit".
function label(field: DescField): string {
  return words(field.name.replace(/_(bytes|millis|time)$/, ""));
}

function words(name: string): string {
  return name
    .toLowerCase()
    .replaceAll("_", " ")
    .replace(/\bcpu\b/g, "CPU")
    .replace(/\bpid\b/g, "PID");
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
