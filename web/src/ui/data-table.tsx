import type { ReactNode } from "react";

export interface Column<Row> {
  head: ReactNode;
  // Spoken and shown before the cell where the table is a list of cards.
  name: string;
  cell: (row: Row) => ReactNode;
  number?: boolean;
  sort?: "ascending" | "descending" | undefined;
}

interface Props<Row> {
  label: string;
  columns: Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
}

// A plain table. Narrow screens scroll it sideways: columns stay comparable,
// which is what a table is for.
export function DataTable<Row>({ label, columns, rows, rowKey }: Props<Row>) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section className="panel shrink-0 overflow-x-auto" aria-label={label} tabIndex={0}>
      <table className="w-full border-collapse">
        <caption className="sr-only">{label}</caption>
        <thead>
          <tr className="border-b border-line bg-raised text-soft">
            {columns.map((column) => (
              <th
                key={column.name}
                scope="col"
                aria-sort={column.sort}
                className={`px-2.5 py-1.5 whitespace-nowrap ${column.number ? "text-end" : ""}`}
              >
                {column.head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={rowKey(row)} className="border-b border-line last:border-0 hover:bg-raised">
              {columns.map((column) => (
                <td
                  key={column.name}
                  className={`px-2.5 py-1.5 whitespace-nowrap ${column.number ? "text-end tabular-nums" : ""}`}
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
