import { type ReactNode, useEffect } from "react";

interface Props {
  title: string;
  // Shown in place of the title, where that holds more than text.
  children?: ReactNode;
}

// The heading of a view and the title of the tab.
export function ViewTitle({ title, children }: Props) {
  useEffect(() => {
    document.title = `${title} · Right-Sizer`;
  }, [title]);
  return <h1 className="text-lg font-semibold break-words">{children ?? title}</h1>;
}
