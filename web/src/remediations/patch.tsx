import { Untrusted } from "../ui/untrusted";

interface Operation {
  op: string;
  path: string;
  value?: unknown;
}

// operations reads a JSON patch; undefined where it is none.
export function operations(diff: string): Operation[] | undefined {
  try {
    const patch: unknown = JSON.parse(diff);
    return Array.isArray(patch) && patch.every(isOperation) ? patch : undefined;
  } catch {
    return undefined;
  }
}

function isOperation(value: unknown): value is Operation {
  return (
    typeof value === "object" &&
    value !== null &&
    "op" in value &&
    typeof value.op === "string" &&
    "path" in value &&
    typeof value.path === "string"
  );
}

const signs: Record<string, { sign: string; className: string }> = {
  add: { sign: "+", className: "bg-good-fill text-good" },
  replace: { sign: "~", className: "bg-info-fill text-info" },
  remove: { sign: "−", className: "bg-error-fill text-error" },
};

// The change to the object, as it goes to the API server.
export function Patch({ diff }: { diff: string }) {
  if (diff === "") return null;
  const list = operations(diff);
  return (
    <details open={list !== undefined && list.length <= 8}>
      <summary className="text-soft">Patch as it goes to Kubernetes</summary>
      {list ? (
        <ul className="mt-2 flex flex-col gap-px overflow-hidden rounded-md font-mono text-xs">
          {list.map(({ op, path, value }) => {
            const look = signs[op] ?? { sign: "=", className: "bg-raised text-soft" };
            return (
              <li key={`${op} ${path}`} className={`flex gap-2 px-2 py-1 ${look.className}`}>
                <span aria-hidden="true">{look.sign}</span>
                <span className="sr-only">{op}</span>
                <span className="min-w-0 break-all">
                  <Untrusted text={path} />
                  {value !== undefined && (
                    <>
                      {": "}
                      <Untrusted text={JSON.stringify(value)} className="font-semibold" />
                    </>
                  )}
                </span>
              </li>
            );
          })}
        </ul>
      ) : (
        <pre className="mt-2 overflow-x-auto rounded-md bg-raised p-2 text-xs">
          <Untrusted text={diff} />
        </pre>
      )}
    </details>
  );
}
