// A reason is a sentence for people, yet most that take long say "412 of 1380":
// that gives the bar its length. Undefined where it says no such thing.
export function progressIn(reason: string): number | undefined {
  const [, done, all] = /(\d[\d,]*) of (\d[\d,]*)/.exec(reason) ?? [];
  if (done === undefined || all === undefined) return undefined;
  const whole = number(all);
  return whole > 0 ? Math.min(1, number(done) / whole) : undefined;
}

function number(digits: string): number {
  return Number(digits.replaceAll(",", ""));
}
