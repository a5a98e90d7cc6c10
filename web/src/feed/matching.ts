import type { Row } from "./feed-state";

// Rows whose text holds every word. Marks always stay: what is missing is
// missing from the rows that match as well.
export function matching(rows: readonly Row[], text: string): readonly Row[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return rows;
  return rows.filter((row) => row.mark || words.every((word) => row.text.includes(word)));
}
