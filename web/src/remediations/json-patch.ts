// A JSON patch (RFC 6902) as remediations and the audit have it: what was there
// before is what its tests want.

export interface Operation {
  op: string;
  path: string;
  value?: unknown;
}

export interface PatchLine {
  op: string;
  path: string;
  before?: unknown; // undefined where it is not said
  value?: unknown; // undefined where something is taken away
}

// operations reads a patch; undefined where it is none.
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

// patchLines puts each change and the test of what it changes on one line.
export function patchLines(patch: readonly Operation[]): PatchLine[] {
  const lines: PatchLine[] = [];
  patch.forEach((operation, index) => {
    const next = patch[index + 1];
    if (operation.op === "test" && next?.op !== "test" && next?.path === operation.path) return;
    const last = patch[index - 1];
    lines.push(
      last?.op === "test" && operation.op !== "test" && last.path === operation.path
        ? { ...operation, before: last.value }
        : operation,
    );
  });
  return lines;
}

// valueBefore is what a patch says was at the end of a path, such as
// /resources/limits/memory; undefined where it does not say.
export function valueBefore(diff: string, pathEnd: string): unknown {
  return operations(diff)?.find(({ op, path }) => op === "test" && path.endsWith(pathEnd))?.value;
}
