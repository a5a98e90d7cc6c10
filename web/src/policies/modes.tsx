import { PolicyMode } from "@rightsizer/api/policy_service";
import { Badge, type Tone } from "../ui/badge";

const modes: Record<PolicyMode, { name: string; tone: Tone; says: string }> = {
  [PolicyMode.UNSPECIFIED]: { name: "Unknown", tone: "plain", says: "not known to this page" },
  [PolicyMode.OFF]: { name: "Off", tone: "plain", says: "nothing at all" },
  [PolicyMode.OBSERVE]: { name: "Observe", tone: "plain", says: "events only" },
  [PolicyMode.RECOMMEND]: {
    name: "Recommend",
    tone: "info",
    says: "events and recommendations; nothing is changed",
  },
  [PolicyMode.DRY_RUN]: {
    name: "Dry run",
    tone: "info",
    says: "tries on the server, changes nothing",
  },
  [PolicyMode.APPROVE]: { name: "Approve", tone: "warning", says: "acts after somebody says yes" },
  [PolicyMode.AUTO]: { name: "Auto", tone: "good", says: "acts by itself within its bounds" },
};

export function ModeBadge({ mode }: { mode: PolicyMode }) {
  const { name, tone, says } = modes[mode] ?? modes[PolicyMode.UNSPECIFIED];
  return (
    <span title={says}>
      <Badge tone={tone}>{name}</Badge>
    </span>
  );
}

export function modeSays(mode: PolicyMode): string {
  return (modes[mode] ?? modes[PolicyMode.UNSPECIFIED]).says;
}
