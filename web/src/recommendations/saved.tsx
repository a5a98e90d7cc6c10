import { money, moneyChange } from "../format/quantity";

// What the recommendations save a month, or cost where more is needed than asked for.
export function Saved({ now, then }: { now: number; then: number }) {
  const more = then > now;
  return (
    <p className="text-2xl font-semibold tabular-nums">
      {more ? moneyChange(then - now) : money(now - then)}{" "}
      <span className="text-sm font-normal text-soft">
        {more ? "a month for what runs short" : "a month to save"}
      </span>
    </p>
  );
}
