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

const scales: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

// A quantity as Kubernetes writes it, such as "64Mi", in bytes; undefined for what
// is none.
export function bytesOf(quantity: string): bigint | undefined {
  return amountOf(quantity, 1);
}

// A quantity such as "1500m" or "2", in thousandths of a core.
export function millisOf(quantity: string): bigint | undefined {
  return amountOf(quantity, 1000);
}

function amountOf(quantity: string, times: number): bigint | undefined {
  const [, digits, suffix = ""] = /^(\d+(?:\.\d+)?)([a-zA-Z]*)$/.exec(quantity) ?? [];
  const scale = scales[suffix];
  if (digits === undefined || scale === undefined) return undefined;
  return BigInt(Math.ceil(Number(digits) * scale * times));
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

const cents = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const dollars = new Intl.NumberFormat("en-US", {
  style: "currency",
  currency: "USD",
  maximumFractionDigits: 0,
});

// US dollars; cents where they matter.
export function money(value: number): string {
  return (Math.abs(value) < 100 ? cents : dollars).format(value === 0 ? 0 : value);
}

// A change of cost with its sign: "−$12.40", "+$3.00".
export function moneyChange(value: number): string {
  if (Math.abs(value) < 0.005) return "±$0";
  return `${value < 0 ? "−" : "+"}${money(Math.abs(value))}`;
}

// A share from 0 to 1 in per cent; what is not nothing does not read as 0 %.
export function share(value: number): string {
  const percent = value * 100;
  if (percent > 0 && percent < 0.1) return "under 0.1 %";
  return `${percent < 10 ? short(Math.round(percent * 10) / 10) : Math.round(percent)} %`;
}

// Change from one amount to another in per cent with its sign; empty where there
// was nothing before.
export function changePercent(from: bigint, to: bigint): string {
  if (from <= 0n || from === to) return "";
  const percent = Math.round((Number(to - from) / Number(from)) * 100);
  return `${percent < 0 ? "−" : "+"}${count(Math.abs(percent))} %`;
}
