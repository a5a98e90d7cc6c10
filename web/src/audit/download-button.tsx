import { type MessageInitShape, toJsonString } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import {
  AuditRecordSchema,
  AuditService,
  type ListAuditRecordsRequestSchema,
} from "@rightsizer/api/audit_service";
import { useState } from "react";
import { explain } from "../api/failure";
import { plural } from "../format/quantity";
import { DownIcon } from "../ui/icons";
import { saveAs } from "../ui/save-as";
import { readAll } from "./read-all";

type Asked = MessageInitShape<typeof ListAuditRecordsRequestSchema>;

// The records of the filter as JSON, one a line: what `audit list -o json` takes
// apart as well.
export function DownloadButton({ asked }: { asked: Asked }) {
  const transport = useTransport();
  const [state, setState] = useState("");
  const [busy, setBusy] = useState(false);

  async function download() {
    setBusy(true);
    setState("Reading the records");
    try {
      const { records, cut } = await readAll(createClient(AuditService, transport), asked);
      const lines = records.map((record) => `${toJsonString(AuditRecordSchema, record)}\n`);
      saveAs("rightsizer-audit.jsonl", "application/x-ndjson", lines);
      setState(
        `${plural(records.length, "record")} saved${cut ? ", the latest: there are more, narrow the filter for them" : ""}`,
      );
    } catch (reason) {
      setState(explain(reason).title);
    }
    setBusy(false);
  }

  return (
    <div className="flex flex-wrap items-center gap-2">
      <span role="status" className="text-soft">
        {state}
      </span>
      <button
        type="button"
        className="field inline-flex items-center gap-2"
        disabled={busy}
        onClick={() => void download()}
      >
        <DownIcon /> Download as JSON lines
      </button>
    </div>
  );
}
