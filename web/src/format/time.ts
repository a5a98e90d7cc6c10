import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";
import { timestampDate, timestampMs } from "@bufbuild/protobuf/wkt";

// Times in the viewer's zone. The zone's name is spelt out where the exact time
// is shown, so that two people comparing notes see whether they differ.

const clock = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const dayAndClock = new Intl.DateTimeFormat("en-GB", {
  day: "2-digit",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const full = new Intl.DateTimeFormat("en-GB", {
  weekday: "short",
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  timeZoneName: "shortOffset",
});

const day = 86_400_000;

// The clock alone for the last hours, with the day before that.
export function shortTime(ms: number, now = Date.now()): string {
  return (Math.abs(now - ms) < day / 2 ? clock : dayAndClock).format(ms);
}

const shortClock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

// Hours and minutes, for axes.
export function hourMinute(ms: number): string {
  return shortClock.format(ms);
}

export function clockTime(ms: number): string {
  return clock.format(ms);
}

// To the millisecond, in the viewer's zone.
export function localTime(time: Timestamp): string {
  return full.format(timestampMs(time)).replace("GMT", "UTC");
}

// The same beside the time in UTC, which logs have.
export function exactTime(time: Timestamp): string {
  return `${localTime(time)} · ${timestampDate(time).toISOString()}`;
}

export function durationMs(value: Duration): number {
  return Number(value.seconds) * 1000 + value.nanos / 1e6;
}

// How long ago: "20 s ago", "now" within the second.
export function ago(ms: number): string {
  return ms < 1000 ? "now" : `${span(ms)} ago`;
}

// Two units at most: "3 d 4 h", "5 min 5 s", "740 ms"; from ten minutes on nobody
// wants the seconds.
export function span(ms: number): string {
  const value = Math.max(0, ms);
  if (value < 1000) return `${Math.round(value)} ms`;
  const seconds = Math.floor(value / 1000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds < 600 ? seconds % 60 : 0, "s"],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(" ");
}
