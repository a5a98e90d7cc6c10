import { Link, type LinkProps } from "@tanstack/react-router";

export function More(props: Pick<LinkProps, "to" | "search"> & { children: string }) {
  return <Link {...props} className="bare-link text-xs" />;
}
