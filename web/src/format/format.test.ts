import { expect, test } from "vitest";
import { bytes, bytesOf, cpu, millisOf, percent, plural } from "./quantity";
import { span } from "./time";
import { visible } from "./visible";

test("characters that would change how other text looks are shown instead", () => {
  expect(visible("a\u0000b\u001b[31mred\u007f")).toBe("a␀b␛[31mred␡");
  expect(visible("user\u202Egnp.exe")).toBe("user⟨U+202E⟩gnp.exe");
  expect(visible("zero\u200bwidth\ufeff\u2066x\u2069")).toBe(
    "zero⟨U+200B⟩width⟨U+FEFF⟩⟨U+2066⟩x⟨U+2069⟩",
  );
  expect(visible("one\ntwo\tthree")).toBe("one⏎two⇥three");
  expect(visible("\u{e0041}tag")).toBe("⟨U+E0041⟩tag");
});

test("ordinary text of any script is left alone", () => {
  for (const text of [
    "plain <b>text</b>",
    "größer",
    "日本語",
    "עברית",
    "👩‍🔧".replace("\u200d", ""),
  ])
    expect(visible(text)).toBe(text);
});

test("numbers carry their units", () => {
  expect(bytes(0n)).toBe("0 B");
  expect(bytes(134_217_728n)).toBe("128 MiB");
  expect(bytes(1_610_612_736n)).toBe("1.5 GiB");
  expect(bytes(1_048_575n)).toBe("1,024 KiB");
  expect(cpu(0n)).toBe("0 cores");
  expect(cpu(250n)).toBe("250 mCPU");
  expect(cpu(1000n)).toBe("1 core");
  expect(cpu(12_500n)).toBe("12.5 cores");
  expect(percent(1n, 3n)).toBe(33);
  expect(percent(1n, 0n)).toBe(0);
  expect([plural(1, "node"), plural(1412n, "pod")]).toEqual(["1 node", "1,412 pods"]);
});

test("spans name two units at most", () => {
  expect([0, 740, 5000, 65_000, 605_000, 3_600_000, 100_000_000].map(span)).toEqual([
    "0 ms",
    "740 ms",
    "5 s",
    "1 min 5 s",
    "10 min",
    "1 h",
    "1 d 3 h",
  ]);
});

test.each([
  ["64Mi", 67_108_864n],
  ["1.5Gi", 1_610_612_736n],
  ["128000", 128_000n],
  ["1M", 1_000_000n],
  ["much", undefined],
  ["1 Gi", undefined],
])("a quantity of memory: %s", (text, want) => {
  expect(bytesOf(text)).toBe(want);
});

test.each([
  ["1500m", 1500n],
  ["2", 2000n],
  ["0.25", 250n],
  ["250000u", 250n],
])("a quantity of CPU: %s", (text, want) => {
  expect(millisOf(text)).toBe(want);
});
