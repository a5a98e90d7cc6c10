package plan

import (
	"fmt"
	"time"

	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// RiskFacts is what a risk is computed from.
type RiskFacts struct {
	Action v1alpha1.ActionKind
	// Namespace and its labels; Kind of the workload.
	Namespace       string
	NamespaceLabels map[string]string
	Kind            string
	// Replicas are wanted, Ready are ready.
	Replicas, Ready int32
	// Restarts is how many pods it restarts, evicts or replaces, RestartsReady how
	// many of these are ready.
	Restarts, RestartsReady int32
	// Budgets says that disruption budgets cover the pods, Headroom how many
	// evictions the tightest of them allows.
	Budgets  bool
	Headroom int32
	// From and To are the container's sizes; equal where none changes.
	From, To policy.Size
	// FromReplicas and ToReplicas are the workload's, for scale.
	FromReplicas, ToReplicas int32
	// DataAge is the age of the newest sample behind a smaller size; negative
	// where there is none.
	DataAge time.Duration
}

// Thresholds of the risk.
const (
	largeChange = 2.0 // times, or its inverse
	oldData     = time.Hour
	// environmentLabel says of a namespace what it is for.
	environmentLabel = "environment"
	production       = "production"
)

var levels = []v1alpha1.RiskLevel{v1alpha1.RiskLow, v1alpha1.RiskMedium, v1alpha1.RiskHigh, v1alpha1.RiskCritical}

// Risk is how risky an action is, and each reason. It begins with what the action
// does and rises by a level with each fact that makes it worse.
func Risk(f RiskFacts) (v1alpha1.RiskLevel, []v1alpha1.ShortText) {
	r := &risk{}
	r.nature(&f)
	r.size(&f)
	r.restart(&f)
	r.owner(&f)
	return levels[min(r.level, len(levels)-1)], r.reasons
}

type risk struct {
	level   int
	reasons []v1alpha1.ShortText
}

// say notes a reason that raises the level by so many.
func (r *risk) say(by int, format string, args ...any) {
	r.level += by
	text := fmt.Sprintf(format, args...)
	if by > 0 {
		text += fmt.Sprintf(" (+%d)", by)
	}
	r.reasons = append(r.reasons, v1alpha1.ShortText(Cut(text, maxReason)))
}

// nature is what the action does by itself.
func (r *risk) nature(f *RiskFacts) {
	switch f.Action {
	case v1alpha1.ActionResizeInPlace:
		if f.Restarts == 0 {
			r.say(0, "changes resources in place, without a restart")
		} else {
			r.say(1, "changes resources in place and restarts %d containers", f.Restarts)
		}
	case v1alpha1.ActionRestartPod:
		r.say(1, "evicts a pod, which is made anew")
	case v1alpha1.ActionRolloutRestart, v1alpha1.ActionResizeTemplate:
		switch f.Kind {
		case "Job", "CronJob":
			r.say(0, "changes the template for the next run")
		default:
			r.say(1, "replaces all pods of the workload by a rollout")
		}
	case v1alpha1.ActionScale:
		if f.ToReplicas < f.FromReplicas {
			r.say(1, "takes replicas away: %d to %d", f.FromReplicas, f.ToReplicas)
		} else {
			r.say(0, "adds replicas: %d to %d", f.FromReplicas, f.ToReplicas)
		}
	case v1alpha1.ActionExport, v1alpha1.ActionWebhook:
		r.say(0, "changes nothing in the cluster by itself")
	default:
		r.say(1, "is an action of this installation's own")
	}
}

// size is direction and size of the change, and what it rests on.
func (r *risk) size(f *RiskFacts) {
	lowered := false
	for _, v := range []struct {
		name     string
		from, to int64
	}{
		{"CPU request", f.From.Requests.CPUMillis, f.To.Requests.CPUMillis},
		{"CPU limit", f.From.Limits.CPUMillis, f.To.Limits.CPUMillis},
		{"memory request", f.From.Requests.MemoryBytes, f.To.Requests.MemoryBytes},
		{"memory limit", f.From.Limits.MemoryBytes, f.To.Limits.MemoryBytes},
	} {
		if v.from == 0 || v.to == 0 || v.from == v.to {
			continue
		}
		times := float64(v.to) / float64(v.from)
		switch {
		case v.to < v.from && times < 1/largeChange:
			r.say(1, "%s is lowered to %.0f %% in one step", v.name, times*100)
		case v.to > v.from && times > largeChange:
			r.say(1, "%s is raised to %.0f %% in one step", v.name, times*100)
		case v.to > v.from:
			r.say(0, "%s is raised to %.0f %%", v.name, times*100)
		default:
			r.say(0, "%s is lowered to %.0f %%", v.name, times*100)
		}
		lowered = lowered || v.to < v.from
	}
	if !lowered {
		return
	}
	r.say(1, "something is taken away")
	switch {
	case f.DataAge < 0:
		r.say(1, "no samples speak for it")
	case f.DataAge > oldData:
		r.say(1, "the newest sample is %s old", f.DataAge.Round(time.Minute))
	}
}

// restart is who notices.
func (r *risk) restart(f *RiskFacts) {
	if f.Restarts == 0 {
		return
	}
	switch {
	case f.Ready > 0 && f.Ready-f.RestartsReady < 1 && f.RestartsReady > 0:
		r.say(2, "no ready replica would remain: %d of %d ready are restarted", f.RestartsReady, f.Ready)
	case f.Replicas <= 1 && f.Kind != "Job" && f.Kind != "CronJob":
		r.say(1, "the workload has a single replica")
	default:
		r.say(0, "%d of %d replicas are ready", f.Ready, f.Replicas)
	}
	switch {
	case !f.Budgets:
	case f.Headroom < f.Restarts:
		r.say(1, "the disruption budget allows %d evictions, %d are needed", f.Headroom, f.Restarts)
	default:
		r.say(0, "the disruption budget allows %d evictions", f.Headroom)
	}
}

// owner is whose pods they are, and where.
func (r *risk) owner(f *RiskFacts) {
	if f.Restarts == 0 {
		return
	}
	switch f.Kind {
	case "StatefulSet":
		r.say(1, "a StatefulSet's pods have state and come back one by one")
	case "DaemonSet":
		r.say(1, "a DaemonSet's pods serve their node")
	case "Pod":
		r.say(2, "a bare pod does not come back")
	}
	if f.Namespace == production || f.NamespaceLabels[environmentLabel] == production {
		r.say(1, "the namespace is production")
	}
}
