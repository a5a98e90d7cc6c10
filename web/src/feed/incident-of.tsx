import { useQuery } from "@connectrpc/connect-query";
import type { Event } from "@rightsizer/api/event";
import { EventService } from "@rightsizer/api/event_service";
import { Link } from "@tanstack/react-router";
import { explain } from "../api/failure";
import { Untrusted } from "../ui/untrusted";
import { Field } from "./field";

// The incident that an event's problem is part of now; it may have moved since
// the event was published.
export function IncidentOf({ event: { problemId, incidentId } }: { event: Event }) {
  const { data, error } = useQuery(
    EventService.method.listIncidents,
    { problemIds: [problemId], allowedOnly: true, pageSize: 1 },
    { enabled: problemId !== "", retry: false },
  );
  const incident = data?.incidents[0];
  if (error && !incident && incidentId === "")
    return (
      <Field name="Incident">
        <span className="text-soft">Not known: {explain(error).title.toLowerCase()}</span>
      </Field>
    );
  const id = incident?.id ?? incidentId;
  if (id === "") return null;
  return (
    <Field name="Incident">
      <Link to="/incidents" search={{ id, state: "all" }} className="bare-link break-words">
        {incident ? <Untrusted text={incident.summary} /> : "Open it"}
      </Link>
    </Field>
  );
}
