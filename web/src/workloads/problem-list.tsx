import type { Event } from "@rightsizer/api/event";
import { Link } from "@tanstack/react-router";
import { EventDetails } from "../feed/event-details";
import { count } from "../format/quantity";
import { SeverityMark } from "../ui/severity";
import { Untrusted } from "../ui/untrusted";
import { When } from "../ui/when";

interface Props {
  problems: readonly Event[];
  namespace: string;
  workload: string; // as Kind/name, as the feed's filter takes it
}

// What goes on, and causes still visible; each opens with all its fields.
export function ProblemList({ problems, namespace, workload }: Props) {
  return (
    <section aria-labelledby="problems" className="flex flex-col gap-2">
      <div className="flex flex-wrap items-baseline justify-between gap-2">
        <h2 id="problems" className="font-semibold">
          Problems and causes ({count(problems.length)})
        </h2>
        <Link to="/live" search={{ namespace, workload }} className="bare-link">
          Follow its events live
        </Link>
      </div>
      {problems.length === 0 ? (
        <p className="text-soft">Nothing is wrong with it now.</p>
      ) : (
        <ul className="panel divide-y divide-line">
          {problems.map((event) => (
            <li key={event.id}>
              <details className="px-3 py-2">
                <summary>
                  <SeverityMark severity={event.severity} />{" "}
                  <span className="text-soft tabular-nums">
                    <When time={event.occurredTime} />
                  </span>{" "}
                  <Untrusted text={event.message || event.reason} className="break-words" />
                </summary>
                <div className="max-w-xl py-3">
                  <EventDetails event={event} />
                </div>
              </details>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
