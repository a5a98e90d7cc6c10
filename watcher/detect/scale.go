package detect

import (
	"fmt"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Scaled tells changes of the number of pods that a workload asks for. A
// DaemonSet's follows from the nodes and is not told.
type Scaled struct{}

// Docs implements Detector.
func (Scaled) Docs() []Doc {
	var out []Doc
	for _, kind := range []string{"deployment", "statefulset"} {
		out = append(out, Doc{
			Type: kind + ".scaled", Severity: "info; warning where it is scaled to 0",
			Source: "`spec.replicas` changed while the operator was watching", Details: "ScaleDetails", Resolves: point,
		})
	}
	return out
}

// Detect implements Detector.
func (Scaled) Detect(in *ControllerInput, out []Finding) []Finding {
	c, p := in.Cur, in.Prev
	if in.Gone || c.Rollout == nil || c.Kind == "DaemonSet" || p == nil || p.UID != c.UID || p.Desired == c.Desired {
		return out
	}
	f := Finding{
		Type: eventKind(c) + ".scaled", Point: true, Severity: info, Reason: "Scaled",
		Message: fmt.Sprintf("%s %s was scaled from %d to %s", c.Kind, c.Name, p.Desired, count(c.Desired, "pod")),
		Details: &rightsizerv1.ScaleDetails{From: p.Desired, To: c.Desired},
	}
	// A generation is one state of the spec, so that every process tells one
	// change under one id.
	f.Problem = Identify(f.Type, in.Cluster, c.UID, unix(c.Rollout.Generation))
	if c.Desired == 0 {
		f.Severity = warning
	}
	return append(out, f)
}
