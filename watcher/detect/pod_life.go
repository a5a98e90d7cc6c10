package detect

import (
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const (
	typeStarted    = "pod.started"
	typeTerminated = "pod.terminated"
)

// PodLife tells the beginning and the end of pods, as they are seen. What was
// so before the pod was seen for the first time is not told: it would be an
// event for each pod at every start.
type PodLife struct{}

// Docs implements Detector.
func (PodLife) Docs() []Doc {
	return []Doc{
		{
			Type: typeStarted, Severity: "info", Source: "the first change of condition Ready to True that is seen",
			Details: "PodLifeDetails", Resolves: point,
		},
		{
			Type: typeTerminated, Severity: "info",
			Source:  "the change to phase Succeeded, or the deletion of a pod that had not ended",
			Details: "PodLifeDetails", Resolves: point,
		},
	}
}

// Detect implements Detector.
func (PodLife) Detect(in *PodInput, out []Finding) []Finding {
	pod, before := in.Cur, in.Prev
	if before == nil || before.UID != pod.UID {
		return out
	}
	if pod.Ready && !pod.WasReady && !before.Ready {
		f := podLife(in, typeStarted, "Started", "Pod "+pod.Name+" is ready for the first time")
		if pod.Node != "" {
			f.Message += ", on node " + pod.Node
		}
		out = append(out, f)
	}
	switch {
	case before.Ended():
	// A kubelet ends a deleted pod before it lets go of it, in a phase that says
	// no more than how the programs answered SIGTERM.
	case in.Gone && !pod.Ended(), pod.Deleting && pod.Ended():
		out = append(out, podLife(in, typeTerminated, "Deleted", "Pod "+pod.Name+" was deleted"))
	case pod.Phase == object.PhaseSucceeded:
		out = append(out, podLife(in, typeTerminated, "Completed", "Pod "+pod.Name+" completed"))
	}
	return out
}

func podLife(in *PodInput, typ, reason, message string) Finding {
	pod := in.Cur
	details := &rightsizerv1.PodLifeDetails{Lived: since(pod.CreateTime, in.Now), Phase: clip(pod.Phase, 32)}
	for i := range pod.Containers {
		details.RestartCount += min(pod.Containers[i].RestartCount, 1<<20)
	}
	if details.Lived != nil {
		message += " " + span(details.Lived.AsDuration()) + " after its creation"
	}
	return Finding{
		Problem: Identify(typ, in.Cluster, pod.UID), Type: typ, Point: true, Severity: info,
		Reason: reason, Message: message, Details: details,
	}
}
