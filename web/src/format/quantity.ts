// Numbers for people, each with its unit.

const whole = new Intl.NumberFormat("en-GB");

export function count(value: number | bigint): string {
  return whole.format(value);
}

// plural(1, "node") is "1 node", plural(2, "node") "2 nodes".
export function plural(value: number | bigint, one: string, many = `${one}s`): string {
  return `${count(value)} ${Number(value) === 1 ? one : many}`;
}

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

// Memory, three significant digits, in powers of 1,024 as Kubernetes has them.
export function bytes(value: bigint): string {
  let amount = Number(value);
  let unit = 0;
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024;
    unit++;
  }
  return `${short(amount)} ${units[unit]}`;
}

// CPU: millicores below one core, cores from there on.
export function cpu(millis: bigint): string {
  const amount = Number(millis);
  if (amount === 0) return "0 cores";
  if (amount < 1000) return `${amount} mCPU`;
  const cores = amount / 1000;
  return `${short(cores)} ${cores === 1 ? "core" : "cores"}`;
}

// Part and whole, the unit once where it is the same: "4 of 16 cores".
export function partOf(part: bigint, whole: bigint, show: (amount: bigint) => string): string {
  const [amount, unit] = show(part).split(" ");
  return show(whole).endsWith(` ${unit}`)
    ? `${amount} of ${show(whole)}`
    : `${show(part)} of ${show(whole)}`;
}

export function percent(part: bigint, whole: bigint): number {
  if (whole <= 0n) return 0;
  return Math.round((Number(part) / Number(whole)) * 100);
}

function short(amount: number): string {
  if (amount >= 100 || Number.isInteger(amount)) return whole.format(Math.round(amount));
  return amount.toFixed(amount >= 10 ? 1 : 2).replace(/\.?0+$/, "");
}
