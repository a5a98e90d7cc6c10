import { fault, severityNames } from "../feed/filter";
import { FilterField } from "../feed/filter-field";
import { Choice } from "../ui/choice";
import type { IncidentSearch } from "./search";

const options = [
  { value: "open", name: "Open" },
  { value: "resolved", name: "Resolved" },
  { value: "all", name: "All" },
] as const;

interface Props {
  search: IncidentSearch;
  set: (search: IncidentSearch) => void;
}

export function IncidentFilters({ search, set }: Props) {
  const { state, namespace, minSeverity, ...rest } = search;
  const kept = {
    ...rest,
    ...(state && { state }),
    ...(namespace && { namespace }),
    ...(minSeverity && { minSeverity }),
  };
  return (
    <search tabIndex={-1} className="flex flex-wrap items-end gap-3">
      <Choice
        label="State"
        options={options}
        value={state ?? "open"}
        onChange={(value) => {
          const { state: _, ...others } = kept;
          set(value === "open" ? others : { ...others, state: value });
        }}
      />
      <FilterField
        label="Namespace"
        example="shop"
        value={namespace ?? ""}
        fault={fault("namespace", namespace)}
        suggestions={[]}
        onCommit={(value) => {
          const { namespace: _, ...others } = kept;
          set(value === "" ? others : { ...others, namespace: value });
        }}
      />
      <label className="flex flex-col gap-0.5 text-xs text-soft">
        From severity
        <select
          className="field text-sm"
          value={minSeverity ?? ""}
          onChange={(change) => {
            const { minSeverity: _, ...others } = kept;
            const chosen = severityNames.find((name) => name === change.target.value);
            set(chosen ? { ...others, minSeverity: chosen } : others);
          }}
        >
          <option value="">any</option>
          {severityNames.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
    </search>
  );
}
