import { memo, useId, useState } from "react";
import { useMedia } from "../ui/use-media";
import type { Row } from "./feed-state";
import { type FeedFilter, fault, type ServerField, severityNames } from "./filter";
import { FilterField } from "./filter-field";
import { TextField } from "./text-field";

interface Props {
  filter: FeedFilter;
  onChange: (filter: FeedFilter) => void;
  // The rows as they are now; what they hold is suggested.
  rowsNow: () => readonly Row[];
}

const fields: { field: ServerField; label: string; example: string }[] = [
  { field: "type", label: "Type", example: "pod.*" },
  { field: "namespace", label: "Namespace", example: "shop" },
  { field: "workload", label: "Workload", example: "Deployment/api" },
];

// The filter, which is the URL's. All but the text is the server's work.
//
// Rows come in eight times a second; the form is not drawn anew for each batch.
export const FilterBar = memo(function FilterBar(props: Props) {
  const { filter, onChange, rowsNow } = props;
  const id = useId();
  const [seen, setSeen] = useState(noSuggestions);
  const active = Object.keys(filter).length;

  function set(field: keyof FeedFilter, value: string) {
    const { [field]: _, ...rest } = filter;
    onChange(value === "" ? rest : { ...rest, [field]: value });
  }

  const roomy = useMedia("(min-width: 48rem)");
  const form = (
    <search
      tabIndex={-1}
      onFocus={() => setSeen(suggestions(rowsNow()))}
      className="grid grid-cols-2 items-start gap-2 pt-2 md:grid-cols-[repeat(3,1fr)_8rem_1.5fr_auto] md:pt-0"
    >
      {fields.map(({ field, label, example }) => (
        <FilterField
          key={field}
          label={label}
          example={example}
          value={filter[field] ?? ""}
          fault={fault(field, filter[field])}
          suggestions={seen[field]}
          onCommit={(value) => set(field, value)}
        />
      ))}
      <div className="flex min-w-0 flex-col gap-0.5">
        <label htmlFor={`${id}-severity`} className="text-xs text-soft">
          From severity
        </label>
        <select
          id={`${id}-severity`}
          className="field"
          value={filter.minSeverity ?? ""}
          onChange={(change) => set("minSeverity", change.target.value)}
        >
          <option value="">any</option>
          {severityNames.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </div>
      <TextField value={filter.text ?? ""} onChange={(value) => set("text", value)} />
      <button
        type="button"
        className="field mt-[1.15rem] disabled:opacity-50"
        disabled={active === 0}
        onClick={() => onChange({})}
      >
        Clear
      </button>
    </search>
  );
  if (roomy) return form;
  return (
    <details>
      <summary className="text-soft">
        {active > 0 ? `Filters (${active} in force)` : "Filters"}
      </summary>
      {form}
    </details>
  );
});

const noSuggestions: Record<ServerField, string[]> = { type: [], namespace: [], workload: [] };

// What the rows hold, so that nobody has to remember names.
function suggestions(rows: readonly Row[]): Record<ServerField, string[]> {
  const seen = {
    type: new Set<string>(),
    namespace: new Set<string>(),
    workload: new Set<string>(),
  };
  for (const { event } of rows.slice(-1000)) {
    if (!event) continue;
    seen.type.add(`${event.type.split(".")[0]}.*`);
    seen.type.add(event.type);
    if (event.namespace) seen.namespace.add(event.namespace);
    if (event.workload) seen.workload.add(`${event.workload.kind}/${event.workload.name}`);
  }
  const sorted = (values: Set<string>) => [...values].sort().slice(0, 100);
  return {
    type: sorted(seen.type),
    namespace: sorted(seen.namespace),
    workload: sorted(seen.workload),
  };
}
