import { changePercent } from "../format/quantity";

interface Props {
  from: bigint;
  to: bigint;
  show: (amount: bigint) => string;
}

// What is in force and what is proposed: "512 MiB → 320 MiB, −38 %".
export function FromTo({ from, to, show }: Props) {
  const before = from === 0n ? "none" : show(from);
  if (to === 0n) return <span className="text-soft">{before}, as it is</span>;
  if (from === to) return <span className="text-soft">{before}</span>;
  return (
    <span className="tabular-nums">
      <span className="text-soft">{before} → </span>
      <strong className="font-semibold">{show(to)}</strong>{" "}
      <span className="text-xs text-soft">{changePercent(from, to)}</span>
    </span>
  );
}
