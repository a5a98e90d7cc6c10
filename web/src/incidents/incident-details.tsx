import { useQuery } from "@connectrpc/connect-query";
import { EventService } from "@rightsizer/api/event_service";
import { type Incident, IncidentState } from "@rightsizer/api/incident";
import { plural, share } from "../format/quantity";
import { Badge } from "../ui/badge";
import { CloseIcon } from "../ui/icons";
import { Loaded } from "../ui/loaded";
import { SeverityMark } from "../ui/severity";
import { Untrusted } from "../ui/untrusted";
import { Ago, When } from "../ui/when";
import { IncidentTimeline } from "./incident-timeline";
import { MemberList } from "./member-list";
import { Root } from "./root";
import { ruleName } from "./rules";

interface Props {
  id: string;
  now: number;
  close: () => void;
}

export function IncidentDetails({ id, now, close }: Props) {
  const query = useQuery(
    EventService.method.listIncidents,
    { ids: [id], allowedOnly: true },
    { refetchInterval: 5000 },
  );
  return (
    <section aria-label="Incident" className="panel flex min-w-0 flex-col max-xl:order-first">
      <Loaded query={query} what="the incident" rows={6}>
        {({ incidents: [incident] }) =>
          incident ? (
            <Body incident={incident} now={now} close={close} />
          ) : (
            <div className="flex flex-col items-start gap-2 p-4">
              <h2 className="font-semibold">This incident is no longer held</h2>
              <p className="text-soft">
                It was resolved a while ago, became part of another one, or is not yours to see.
              </p>
              <button type="button" className="field" onClick={close}>
                Back to the list
              </button>
            </div>
          )
        }
      </Loaded>
    </section>
  );
}

function Body({ incident, now, close }: { incident: Incident; now: number; close: () => void }) {
  const { severity, state, summary, rule, confidence, openedTime, resolvedTime } = incident;
  return (
    <>
      <div className="flex flex-col gap-2 border-b border-line p-4">
        <div className="flex flex-wrap items-center gap-3">
          <SeverityMark severity={severity} />
          <Badge tone={state === IncidentState.RESOLVED ? "good" : "warning"}>
            {state === IncidentState.RESOLVED ? "resolved" : "open"}
          </Badge>
          <button type="button" className="field ms-auto px-2" onClick={close}>
            <CloseIcon />
            <span className="sr-only">Close the incident</span>
          </button>
        </div>
        <h2 className="text-base font-semibold break-words">
          <Untrusted text={summary} />
        </h2>
        <p className="text-soft">
          {rule && `${ruleName(rule)}, ${share(confidence)} sure of the root. `}Began{" "}
          <Ago time={openedTime} now={now} />
          {resolvedTime && (
            <>
              , over at <When time={resolvedTime} />
            </>
          )}
          . {plural(incident.memberCount, "problem")}.
        </p>
      </div>
      <Root incident={incident} />
      <MemberList incident={incident} now={now} />
      <IncidentTimeline incident={incident} />
    </>
  );
}
