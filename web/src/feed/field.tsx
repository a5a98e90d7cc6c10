import type { ReactNode } from "react";
import { Untrusted } from "../ui/untrusted";

// One line of the details: name and value, within a two-column <dl>.
export function Field({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="break-words text-soft max-sm:mt-1.5 max-sm:text-xs">
        <Untrusted text={name} />
      </dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </>
  );
}
