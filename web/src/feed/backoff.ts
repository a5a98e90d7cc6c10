// Pause before reconnecting: 0.5 s doubled for each attempt in vain, 10 s at
// most, the upper half of it by chance, so that the tabs of a whole team do not
// come back in the same instant after a roll-out.
export const firstDelay = 500;
export const lastDelay = 10_000;

export function backoff(attempt: number, random: () => number = Math.random): number {
  const full = Math.min(lastDelay, firstDelay * 2 ** Math.min(attempt, 16));
  return Math.round(Math.max(firstDelay, full / 2 + (full / 2) * random()));
}
