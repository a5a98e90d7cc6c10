package detect

import (
	"fmt"
	"math"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Unavailable tells workloads that have had fewer available pods than they ask
// for during Thresholds.UnavailableAfter.
type Unavailable struct{}

// Docs implements Detector.
func (Unavailable) Docs() []Doc {
	var out []Doc
	for _, kind := range rollers {
		out = append(out, Doc{
			Type: kind + ".unavailable", Severity: "warning; error where no pod is available (UPDATED as that changes)",
			Source:  "fewer available pods than wanted for 2 min (UnavailableAfter)",
			Details: "UnavailableDetails", Resolves: "as many are available as wanted, or it is deleted",
		})
	}
	return out
}

// Detect implements Detector.
func (Unavailable) Detect(in *ControllerInput, out []Finding) []Finding {
	c, r := in.Cur, in.Cur.Rollout
	if r == nil || in.Gone || r.ShortSince == 0 {
		return out
	}
	due := r.ShortSince + inSeconds(in.Thresholds.UnavailableAfter)
	if in.Now.Unix() < due {
		return append(out, Finding{Wake: due})
	}
	f := Finding{
		Type: eventKind(c) + ".unavailable", Severity: warning,
		Occurred: r.ShortSince, Reason: "MinimumReplicasUnavailable",
		Message: fmt.Sprintf("%s %s has been short of pods for %s: %d of %d available", c.Kind, c.Name,
			span(in.Now.Sub(time.Unix(r.ShortSince, 0))), r.Available, c.Desired),
		Ending: fmt.Sprintf("%s %s has all of its pods available", c.Kind, c.Name),
		Details: &rightsizerv1.UnavailableDetails{
			Desired: c.Desired, Available: r.Available, SinceTime: moment(r.ShortSince),
		},
	}
	f.Problem = Identify(f.Type, in.Cluster, c.UID, unix(r.ShortSince))
	// Not a count: a process that starts meanwhile could not go on with it.
	f.Ordinal = int32(min(r.EmptiedAt-r.ShortSince, math.MaxInt32))
	if r.Available == 0 {
		f.Severity = errored
	}
	return append(out, f)
}
