import type { ReactNode } from "react";

// Nothing is there, and that is the answer: says why, and what would change it.
export function Empty({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className="m-auto max-w-md p-6 text-center">
      <h2 className="font-semibold">{title}</h2>
      <div className="mt-1 text-soft">{children}</div>
    </div>
  );
}
