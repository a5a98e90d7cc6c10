import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import type {
  AuditRecord,
  AuditService,
  ListAuditRecordsRequestSchema,
} from "@rightsizer/api/audit_service";

// A page's memory is bounded: this many records at most, the latest.
export const downloadCap = 20_000;

export async function readAll(
  client: Pick<Client<typeof AuditService>, "listAuditRecords">,
  asked: MessageInitShape<typeof ListAuditRecordsRequestSchema>,
  cap = downloadCap,
): Promise<{ records: AuditRecord[]; cut: boolean }> {
  const records: AuditRecord[] = [];
  let pageToken = "";
  do {
    const answer = await client.listAuditRecords({ ...asked, pageSize: 1000, pageToken });
    records.push(...answer.records);
    pageToken = answer.nextPageToken;
  } while (pageToken !== "" && records.length < cap);
  return { records: records.slice(0, cap), cut: pageToken !== "" || records.length > cap };
}
