// Stands where rows will be, so that nothing jumps when they come.
export function SkeletonRows({ rows = 8, what }: { rows?: number; what: string }) {
  const widths = ["w-11/12", "w-4/5", "w-10/12", "w-3/4"];
  return (
    <div role="status" className="p-3">
      <span className="sr-only">Loading {what}</span>
      {Array.from({ length: rows }, (_, row) => (
        <div
          // biome-ignore lint/suspicious/noArrayIndexKey: the rows never move
          key={row}
          aria-hidden="true"
          className={`mb-3 h-4 animate-pulse rounded bg-raised motion-reduce:animate-none ${widths[row % widths.length]}`}
        />
      ))}
    </div>
  );
}
