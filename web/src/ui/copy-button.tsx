import { useEffect, useState } from "react";

type Outcome = "copied" | "failed" | undefined;

// Copies what `text` gives when pressed. The clipboard is absent where the page
// is neither on loopback nor on TLS; that is said, not hidden.
export function CopyButton({ label, text }: { label: string; text: () => string }) {
  const [outcome, setOutcome] = useState<Outcome>();

  useEffect(() => {
    if (!outcome) return;
    const timer = setTimeout(() => setOutcome(undefined), 3000);
    return () => clearTimeout(timer);
  }, [outcome]);

  async function copy() {
    try {
      await navigator.clipboard.writeText(text());
      setOutcome("copied");
    } catch {
      setOutcome("failed");
    }
  }

  return (
    <>
      <button type="button" className="field" onClick={copy}>
        {label}
      </button>
      <span role="status" className="text-soft">
        {outcome === "copied" && "Copied"}
        {outcome === "failed" && "The browser did not allow copying"}
      </span>
    </>
  );
}
