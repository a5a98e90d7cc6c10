import { visible } from "../format/visible";

// Text that came from the cluster. <bdi> keeps its direction to itself.
export function Untrusted({ text, className }: { text: string; className?: string }) {
  return <bdi className={className}>{visible(text)}</bdi>;
}
