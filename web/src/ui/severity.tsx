import { Severity } from "@rightsizer/api/severity";
import { CriticalIcon, ErrorIcon, InfoIcon, WarningIcon } from "./icons";

interface Look {
  name: string;
  className: string;
  Icon: typeof InfoIcon;
}

const looks: Partial<Record<Severity, Look>> = {
  [Severity.INFO]: { name: "Info", className: "text-info", Icon: InfoIcon },
  [Severity.WARNING]: { name: "Warning", className: "text-warning", Icon: WarningIcon },
  [Severity.ERROR]: { name: "Error", className: "text-error", Icon: ErrorIcon },
  [Severity.CRITICAL]: {
    name: "Critical",
    className: "rounded bg-critical-fill text-critical",
    Icon: CriticalIcon,
  },
};

// A severity that this build does not know yet.
const unknown: Look = { name: "Unknown", className: "text-soft", Icon: InfoIcon };

export function severityName(severity: Severity): string {
  return (looks[severity] ?? unknown).name;
}

// Shape and word carry the meaning; colour repeats it.
export function SeverityMark({ severity }: { severity: Severity }) {
  const { name, className, Icon } = looks[severity] ?? unknown;
  return (
    <span className={`inline-flex items-center gap-1 px-1 align-middle font-medium ${className}`}>
      <Icon />
      {name}
    </span>
  );
}
