import { create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type AuditRecord,
  AuditRecordSchema,
  type AuditService,
} from "@rightsizer/api/audit_service";
import type { Remediation, RemediationState } from "@rightsizer/api/remediation";
import { chance, page } from "./chance";
import { workloads } from "./workloads";

const held = 2000;
const actions = [
  "remediation.proposed",
  "remediation.approved",
  "remediation.executing",
  "remediation.succeeded",
];
const hash = (number: number) =>
  Array.from({ length: 8 }, (_, part) =>
    Math.floor(chance(`${number} ${part}`) * 2 ** 32)
      .toString(16)
      .padStart(8, "0"),
  ).join("");

// Workloads are made by a file that imports this one's reader: read when asked.
let records: AuditRecord[] | undefined;
function all(): AuditRecord[] {
  records ??= Array.from({ length: held }, (_, index) => {
    const number = held - index;
    const workload = workloads[number % workloads.length];
    return create(AuditRecordSchema, {
      sequence: BigInt(number),
      time: timestampFromMs(Date.now() - index * 310_000),
      actor: number % 4 === 1 ? "ben@example.com" : "",
      action: actions[number % 4] ?? "",
      namespace: workload?.namespace ?? "",
      target: `${workload?.ref?.kind}/${workload?.ref?.name}`,
      remediation: `r-${hash(number).slice(0, 12)}`,
      reason: number % 4 === 1 ? "agreed in the incident call" : "3 OOM kills within 10 minutes",
      policy: `RightSizerPolicy/${workload?.namespace}/memory`,
      policyGeneration: 3n,
      evidence: { "oom kills": "3", "working set": "121 MiB", limit: "128 MiB" },
      replica: "rightsizer-0",
      previousHash: hash(number - 1),
      hash: hash(number),
    });
  });
  return records;
}

export function recordChange(
  { namespace, name, workload, diff, policy }: Remediation,
  stateBefore: RemediationState,
  stateAfter: RemediationState,
  reason: string,
) {
  const number = all().length + 1;
  all().unshift(
    create(AuditRecordSchema, {
      sequence: BigInt(number),
      time: timestampFromMs(Date.now()),
      actor: "you@example.com",
      action: "remediation.changed",
      namespace,
      target: `${workload?.kind}/${workload?.name}`,
      remediation: name,
      stateBefore,
      stateAfter,
      reason,
      diff,
      policy,
      replica: "rightsizer-0",
      previousHash: hash(number - 1),
      hash: hash(number),
    }),
  );
}

export const auditService: Partial<ServiceImpl<typeof AuditService>> = {
  listAuditRecords({ namespaces, remediation, startTime, pageSize, pageToken }) {
    const found = all().filter(
      (record) =>
        (namespaces.length === 0 || namespaces.includes(record.namespace)) &&
        (remediation === "" || record.remediation === remediation) &&
        (!startTime || !record.time || timestampMs(record.time) >= timestampMs(startTime)),
    );
    const { entries, nextPageToken } = page(found, pageSize, pageToken);
    return { records: entries, nextPageToken };
  },
  verifyAudit: () => ({ valid: true, records: BigInt(all().length), firstSequence: 1n }),
};
