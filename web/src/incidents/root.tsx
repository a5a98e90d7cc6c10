import type { Incident } from "@rightsizer/api/incident";
import { SeverityMark } from "../ui/severity";
import { Untrusted } from "../ui/untrusted";
import { WorkloadLink } from "../ui/workload-link";

// What it all began with, probably.
export function Root({ incident: { members, rootProblemId } }: { incident: Incident }) {
  const root = members.find(({ problemId }) => problemId === rootProblemId);
  return (
    <div className="border-b border-line p-4">
      <h3 className="text-xs font-medium text-soft">Probable root</h3>
      {root ? (
        <div className="mt-1.5 flex flex-col gap-1 border-s-2 border-accent ps-3">
          <p className="flex flex-wrap items-center gap-2">
            <SeverityMark severity={root.severity} />
            <Untrusted text={root.type} className="font-mono text-xs" />
            <span className="break-all">
              <Untrusted text={`${root.object?.kind} ${root.object?.name}`} />
            </span>
          </p>
          <p className="break-words">
            <Untrusted text={root.message} />
          </p>
          {root.workload && (
            <p className="text-soft">
              of <WorkloadLink namespace={root.namespace} workload={root.workload} full />
            </p>
          )}
        </div>
      ) : (
        <p className="mt-1.5 text-soft">It is not among what you may see.</p>
      )}
    </div>
  );
}
