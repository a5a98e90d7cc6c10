import { type ReactNode, useId } from "react";

interface Props {
  title: string;
  aside?: ReactNode; // beside the title: a link, a control
  children: ReactNode;
  className?: string;
}

// A part of a view under its own heading.
export function Card({ title, aside, children, className = "" }: Props) {
  const id = useId();
  return (
    <section aria-labelledby={id} className={`panel flex min-w-0 flex-col ${className}`}>
      <div className="flex min-h-10 flex-wrap items-center justify-between gap-x-3 border-b border-line px-3 py-1.5">
        <h2 id={id} className="font-semibold">
          {title}
        </h2>
        {aside}
      </div>
      {children}
    </section>
  );
}
