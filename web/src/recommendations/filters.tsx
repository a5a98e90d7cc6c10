import { fault } from "../feed/filter";
import { FilterField } from "../feed/filter-field";
import { type Order, orders, type RecommendationSearch } from "./search";

const names: Record<Order, string> = {
  savings: "what saves most",
  oom_risk: "risk of an OOM kill",
  memory_change: "change of memory",
  cpu_change: "change of CPU",
  name: "name",
};

interface Props {
  search: RecommendationSearch;
  set: (search: RecommendationSearch) => void;
}

export function RecommendationFilters({ search, set }: Props) {
  function put(field: keyof RecommendationSearch, value: string) {
    const { [field]: _, ...rest } = search;
    set(value === "" ? rest : { ...rest, [field]: value });
  }
  return (
    <search tabIndex={-1} className="flex flex-wrap items-end gap-3">
      <FilterField
        label="Namespace"
        example="shop"
        value={search.namespace ?? ""}
        fault={fault("namespace", search.namespace)}
        suggestions={[]}
        onCommit={(value) => put("namespace", value)}
      />
      <FilterField
        label="Workload"
        example="Deployment/api"
        value={search.workload ?? ""}
        fault={fault("workload", search.workload)}
        suggestions={[]}
        onCommit={(value) => put("workload", value)}
      />
      <label className="flex flex-col gap-0.5 text-xs text-soft">
        First
        <select
          className="field text-sm"
          value={search.order ?? "savings"}
          onChange={(change) =>
            put("order", change.target.value === "savings" ? "" : change.target.value)
          }
        >
          {orders.map((order) => (
            <option key={order} value={order}>
              {names[order]}
            </option>
          ))}
        </select>
      </label>
      <label className="flex h-8 items-center gap-2">
        <input
          type="checkbox"
          className="size-4"
          checked={search.due !== "all"}
          onChange={(change) => put("due", change.target.checked ? "" : "all")}
        />
        Due only
      </label>
    </search>
  );
}
