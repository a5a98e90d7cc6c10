import { useMemo } from "react";
import { DownIcon } from "../ui/icons";
import { saveAs } from "../ui/save-as";
import { Untrusted } from "../ui/untrusted";
import { operations, type PatchLine, patchLines } from "./json-patch";

const signs: Record<string, { sign: string; className: string }> = {
  add: { sign: "+", className: "bg-good-fill text-good" },
  replace: { sign: "~", className: "bg-info-fill text-info" },
  remove: { sign: "−", className: "bg-error-fill text-error" },
};

interface Props {
  diff: string;
  saveAsName?: string; // offers it as a file of this name
}

// The change to the object, as it goes to the API server.
export function Patch({ diff, saveAsName }: Props) {
  const list = useMemo(() => operations(diff), [diff]);
  if (diff === "" || list?.length === 0) return null;
  const lines = list && patchLines(list);
  return (
    <details open={lines !== undefined && lines.length <= 8}>
      <summary className="text-soft">Patch (JSON Patch, RFC 6902)</summary>
      {lines ? (
        <ul className="mt-2 flex flex-col gap-px overflow-hidden rounded-md font-mono text-xs">
          {lines.map((line) => (
            <Line key={`${line.op} ${line.path}`} line={line} />
          ))}
        </ul>
      ) : (
        <pre className="mt-2 overflow-x-auto rounded-md bg-raised p-2 text-xs">
          <Untrusted text={diff} />
        </pre>
      )}
      {saveAsName && (
        <button
          type="button"
          className="field mt-2 inline-flex items-center gap-2"
          onClick={() =>
            saveAs(saveAsName, "application/json-patch+json", [
              list ? `${JSON.stringify(list, undefined, 2)}\n` : diff,
            ])
          }
        >
          <DownIcon /> Download the patch
        </button>
      )}
    </details>
  );
}

function Line({ line: { op, path, before, value } }: { line: PatchLine }) {
  const look = signs[op] ?? { sign: "=", className: "bg-raised text-soft" };
  return (
    <li className={`flex gap-2 px-2 py-1 ${look.className}`}>
      <span aria-hidden="true">{look.sign}</span>
      <span className="sr-only">{op}</span>
      <span className="min-w-0 break-all">
        <Untrusted text={path} />
        {value !== undefined && (
          <>
            {": "}
            {before !== undefined && (
              <>
                <Untrusted text={JSON.stringify(before)} />
                <span aria-hidden="true"> → </span>
                <span className="sr-only"> becomes </span>
              </>
            )}
            <Untrusted text={JSON.stringify(value)} className="font-semibold" />
          </>
        )}
      </span>
    </li>
  );
}
