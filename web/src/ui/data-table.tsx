import type { ReactNode } from "react";

export interface Column<Row> {
  head: ReactNode;
  // Spoken and shown before the cell where the table is a list of cards.
  name: string;
  cell: (row: Row) => ReactNode;
  number?: boolean;
  wrap?: boolean; // prose: breaks into lines instead of pushing the table wide
  narrow?: boolean; // one long word: breaks anywhere
  sort?: "ascending" | "descending" | undefined;
}

interface Props<Row> {
  label: string;
  columns: Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  bare?: boolean; // within a card, which has the border already
}

// A plain table; j and k walk its rows (app/use-shell-keys.ts). Narrow screens
// scroll it sideways past its first column, from under which comes what is focused:
// columns stay comparable, which is what a table is for.
export function DataTable<Row>({ label, columns, rows, rowKey, bare = false }: Props<Row>) {
  const align = ({ number, wrap, narrow }: Column<Row>) =>
    [
      number && "text-end tabular-nums",
      wrap && "min-w-64 break-words",
      narrow && "min-w-52 wrap-anywhere",
      !wrap && !narrow && "whitespace-nowrap",
    ]
      .filter(Boolean)
      .join(" ");
  const stay = (index: number, colour: string) =>
    index === 0 ? `max-sm:sticky max-sm:left-0 max-sm:max-w-[60vw] max-sm:truncate ${colour}` : "";
  return (
    <section
      className={`shrink-0 overflow-x-auto max-sm:scroll-ps-[60vw] ${bare ? "" : "panel"}`}
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
      tabIndex={0}
    >
      <table className="w-full border-collapse">
        <caption className="sr-only">{label}</caption>
        <thead>
          <tr className="border-b border-line bg-raised text-xs text-soft">
            {columns.map((column, index) => (
              <th
                key={column.name}
                scope="col"
                aria-sort={column.sort}
                className={`px-3 py-1.5 whitespace-nowrap ${column.number ? "text-end" : ""} ${stay(index, "bg-raised")}`}
              >
                {column.head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr
              key={rowKey(row)}
              data-row=""
              className="group border-b border-line last:border-0 focus-within:bg-raised hover:bg-raised"
            >
              {columns.map((column, index) => (
                <td
                  key={column.name}
                  className={`px-3 py-1.5 align-top ${align(column)} ${stay(index, "bg-panel group-hover:bg-raised group-focus-within:bg-raised")}`}
                >
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
