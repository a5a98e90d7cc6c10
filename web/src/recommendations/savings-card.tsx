import { useQuery } from "@connectrpc/connect-query";
import type { Savings } from "@rightsizer/api/recommendation";
import { WorkloadService } from "@rightsizer/api/workload_service";
import { Link } from "@tanstack/react-router";
import { money, moneyChange } from "../format/quantity";
import { Card } from "../ui/card";
import { Loaded } from "../ui/loaded";
import { Untrusted } from "../ui/untrusted";
import { Saved } from "./saved";

export function SavingsCard({ namespaces }: { namespaces: readonly string[] }) {
  const query = useQuery(
    WorkloadService.method.getSavings,
    { namespaces: [...namespaces], allowedOnly: namespaces.length === 0 },
    { refetchInterval: 60_000 },
  );
  return (
    <Card title="Savings">
      <Loaded query={query} what="savings" rows={2}>
        {({ total, namespaces: parts }) =>
          total && (
            <div className="grid gap-x-8 gap-y-4 p-3 lg:grid-cols-[minmax(16rem,1fr)_2fr]">
              <Total total={total} />
              <Parts parts={parts} />
            </div>
          )
        }
      </Loaded>
    </Card>
  );
}

export function Total({ total }: { total: Savings }) {
  const { currentMonthlyCost: now, recommendedMonthlyCost: then, formula, priceSource } = total;
  return (
    <div className="min-w-0">
      <Saved now={now} then={then} />
      <p className="text-soft tabular-nums">
        {money(now)} as requested now, {money(then)} as recommended
      </p>
      <details className="mt-1">
        <summary className="text-soft">How this is computed</summary>
        <p className="mt-1 font-mono text-xs break-words whitespace-pre-wrap">
          <Untrusted text={formula} />
        </p>
        <p className="mt-1 text-xs text-soft">
          Prices: <Untrusted text={priceSource || "not known"} />
        </p>
      </details>
    </div>
  );
}

const shown = 6;

function Parts({ parts }: { parts: readonly Savings[] }) {
  const top = parts.slice(0, shown);
  const most = Math.max(
    0.01,
    ...top.map((part) => Math.max(part.currentMonthlyCost, part.recommendedMonthlyCost)),
  );
  if (top.length === 0) return null;
  return (
    <ul aria-label="By namespace" className="flex flex-col gap-1.5">
      {top.map(({ scope, currentMonthlyCost: now, recommendedMonthlyCost: then }) => (
        <li
          key={scope}
          className="grid grid-cols-[1fr_5rem] items-center gap-x-3 gap-y-1 tabular-nums sm:grid-cols-[minmax(5rem,9rem)_1fr_5rem]"
        >
          <Link to="/recommendations" search={{ namespace: scope }} className="bare-link truncate">
            <Untrusted text={scope} />
          </Link>
          <span
            aria-hidden="true"
            className="relative h-2 rounded-full bg-raised max-sm:order-last max-sm:col-span-2"
          >
            <span
              className={`absolute inset-y-0 left-0 rounded-full ${then > now ? "bg-warning" : "bg-edge/50"}`}
              style={{ width: `${(100 * Math.max(now, then)) / most}%` }}
            />
            <span
              className="absolute inset-y-0 left-0 rounded-full bg-accent"
              style={{ width: `${(100 * Math.min(now, then)) / most}%` }}
            />
          </span>
          <span className="text-end">
            {then > now ? moneyChange(then - now) : money(now - then)}
            <span className="sr-only"> a month {then > now ? "more" : "to save"}</span>
          </span>
        </li>
      ))}
    </ul>
  );
}
