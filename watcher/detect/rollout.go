package detect

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const typeStuck = "deployment.stuck"

// Rollout tells the beginning and the end of rollouts that were seen to happen,
// and Deployments that do not get on with theirs.
type Rollout struct{}

// Docs implements Detector.
func (Rollout) Docs() []Doc {
	sources := map[string]string{
		"deployment":  "annotation `deployment.kubernetes.io/revision`",
		"statefulset": "`status.updateRevision`",
		"daemonset":   "annotation `deprecated.daemonset.template.generation`",
	}
	out := []Doc{{
		Type: typeStuck, Severity: "error; critical where no pod is available",
		Source:   "condition Progressing that is False with reason ProgressDeadlineExceeded",
		Details:  "RolloutDetails",
		Resolves: "the rollout gets on or is taken back, or the Deployment is deleted",
	}}
	for _, kind := range rollers {
		out = append(out, Doc{
			Type: kind + ".rollout_started", Severity: "info",
			Source:  sources[kind] + " changed while the operator was watching, the first of a new object included",
			Details: "RolloutDetails", Resolves: point,
		})
	}
	for _, kind := range rollers {
		out = append(out, Doc{
			Type: kind + ".rolled", Severity: "info",
			Source:  "all pods wanted are of the new revision and available, none of an older one is left",
			Details: "RolloutDetails", Resolves: point,
		})
	}
	return out
}

// Detect implements Detector.
func (Rollout) Detect(in *ControllerInput, out []Finding) []Finding {
	c := in.Cur
	r := c.Rollout
	if r == nil || in.Gone {
		return out
	}
	what := c.Kind + " " + c.Name
	if r.Started {
		f := rolloutPoint(in, "rollout_started", rolloutDetails(in))
		f.Reason, f.Occurred = "RolloutStarted", r.Began
		f.Message = what + " rolls out revision " + r.Revision
		out = append(out, f)
	}
	if p := r.Condition("Progressing"); p != nil && p.Status == object.ConditionFalse && p.Reason == "ProgressDeadlineExceeded" {
		f := Finding{
			Problem: Identify(typeStuck, in.Cluster, c.UID, unix(p.Since)), Type: typeStuck,
			Severity: errored, Occurred: p.Since, Reason: p.Reason,
			Message: fmt.Sprintf("The rollout of %s is stuck: %d of %d pods are of revision %s, %d available",
				what, r.Updated, r.Wanted, r.Revision, r.Available),
			Ending:  "The rollout of " + what + " gets on again",
			Details: rolloutDetails(in),
		}
		if r.Available == 0 {
			f.Severity = critical
		}
		out = append(out, f)
	}
	if rolled(in) {
		details := rolloutDetails(in)
		f := rolloutPoint(in, "rolled", details)
		f.Reason = "RolledOut"
		f.Message = fmt.Sprintf("%s has rolled out revision %s to %s", what, r.Revision, count(r.Wanted, "pod"))
		if r.Began > 0 {
			took := time.Duration(max(in.Now.Unix()-r.Began, 0)) * time.Second
			f.Message += " in " + span(took)
			details.Duration = durationpb.New(took)
		}
		out = append(out, f)
	}
	return out
}

// rolled says that a rollout has just come to its end.
func rolled(in *ControllerInput) bool {
	r := in.Cur.Rollout
	if r.Rolling || r.Revision == "" {
		return false
	}
	p := in.Prev
	return r.Started || p != nil && p.UID == in.Cur.UID && p.Rollout != nil && p.Rollout.Rolling
}

// rolloutPoint is identified by the revision. A StatefulSet that goes back to an
// older template has that one's revision again, a Deployment a new one.
func rolloutPoint(in *ControllerInput, what string, details *rightsizerv1.RolloutDetails) Finding {
	c := in.Cur
	cause := []string{eventKind(c) + "." + what, in.Cluster, c.UID, c.Rollout.Revision}
	if c.Kind == "StatefulSet" {
		cause = append(cause, unix(c.Rollout.Generation))
	}
	return Finding{
		Problem: Identify(cause...), Type: cause[0], Point: true,
		Severity: info, Details: details,
	}
}

func rolloutDetails(in *ControllerInput) *rightsizerv1.RolloutDetails {
	c, r := in.Cur, in.Cur.Rollout
	return &rightsizerv1.RolloutDetails{
		Revision: r.Revision, Generation: r.Generation,
		Desired: c.Desired, Updated: r.Updated, Ready: r.Ready, Available: r.Available,
	}
}
