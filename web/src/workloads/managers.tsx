import type { WorkloadManager } from "@rightsizer/api/workload";
import { Badge } from "../ui/badge";
import { Untrusted } from "../ui/untrusted";

// What it means for sizes that something else decides, by WorkloadManager.kind.
const consequences: Record<string, string> = {
  HorizontalPodAutoscaler: "What it scales by is not resized: it would scale by another amount.",
  VerticalPodAutoscaler: "It sizes the pods; two that size them would undo each other's work.",
  "Argo CD": "It takes changes of the template back; they are handed out as a patch instead.",
  Flux: "It takes changes of the template back; they are handed out as a patch instead.",
  Helm: "The next release writes the template anew; take sizes over into its values.",
};

// Who decides on a workload besides its policy.
export function Managers({ managers }: { managers: readonly WorkloadManager[] }) {
  return (
    <div className="border-t border-line p-3">
      <h3 className="text-xs font-medium text-soft">Who else decides on it</h3>
      {managers.length === 0 ? (
        <p className="mt-1 text-soft">
          Nobody known: no autoscaler, and no tool owns its manifest.
        </p>
      ) : (
        <ul className="mt-1.5 flex flex-col gap-2">
          {managers.map(({ kind, name, decides }) => (
            <li key={`${kind}/${name}`}>
              <span className="flex flex-wrap items-baseline gap-x-2">
                <Badge tone="info">
                  <Untrusted text={kind} />
                </Badge>
                <Untrusted text={name} className="font-medium break-all" />
                <Untrusted text={decides} className="break-words" />
              </span>
              {consequences[kind] && <p className="text-xs text-soft">{consequences[kind]}</p>}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
