import type { FormulaTerm, Recommendation } from "@rightsizer/api/recommendation";
import { bytes, cpu } from "../format/quantity";
import { span } from "../format/time";
import { Untrusted } from "../ui/untrusted";

// The formula and its numbers, so that a person can recompute it.
export function Terms({ recommendation }: { recommendation: Recommendation }) {
  const { explanation, terms, priceSource } = recommendation;
  if (explanation === "" && terms.length === 0) return null;
  return (
    <details>
      <summary className="text-soft">The numbers behind it</summary>
      {explanation && (
        <p className="mt-2 rounded-md bg-raised p-2 font-mono text-xs break-words whitespace-pre-wrap">
          <Untrusted text={explanation} />
        </p>
      )}
      {terms.length > 0 && (
        <table className="mt-2 w-full">
          <caption className="sr-only">Terms of the formula</caption>
          <thead className="sr-only">
            <tr>
              <th scope="col">Of</th>
              <th scope="col">Term</th>
              <th scope="col">Value</th>
              <th scope="col">Meaning</th>
            </tr>
          </thead>
          <tbody>
            {terms.map((term) => (
              <tr key={`${term.resource} ${term.name}`} className="align-top">
                <td className="pe-3 text-soft">{term.resource}</td>
                <td className="pe-3 font-mono text-xs leading-5">
                  <Untrusted text={term.name} />
                </td>
                <td className="pe-3 text-end whitespace-nowrap tabular-nums">{amount(term)}</td>
                <td className="text-soft max-sm:hidden">
                  <Untrusted text={term.meaning} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <p className="mt-2 text-xs text-soft">
        Prices: <Untrusted text={priceSource || "not known"} />
      </p>
    </details>
  );
}

function amount({ value, unit }: FormulaTerm): string {
  switch (unit) {
    case "bytes":
      return bytes(BigInt(Math.round(value)));
    case "millicores":
      return cpu(BigInt(Math.round(value)));
    case "hours":
      return span(value * 3_600_000);
    default:
      return String(Math.round(value * 1000) / 1000);
  }
}
