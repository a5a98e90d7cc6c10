package guard_test

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

var now = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

// auto is a policy in mode Auto, changed.
func auto(change func(*v1alpha1.PolicySpec)) *policy.Policy {
	in := &v1alpha1.RightSizerPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "default"}}
	in.Spec.Mode = v1alpha1.ModeAuto
	in.Spec.SetDefaults()
	if change != nil {
		change(&in.Spec.PolicySpec)
	}
	return policy.FromNamespaced(in)
}

func memoryLimit(bytes int64) policy.Size {
	return policy.Size{Requests: policy.Amounts{MemoryBytes: bytes}, Limits: policy.Amounts{MemoryBytes: bytes}}
}

// raise are facts in which nothing is in the way of more memory after an OOM kill,
// in place and without a restart.
func raise() guard.Facts {
	return guard.Facts{
		Now: now, Operator: guard.Operator{Started: ago(time.Hour)}, Policy: auto(nil),
		Decision: guard.Decision{
			Name: "r-new", Action: v1alpha1.ActionResizeInPlace, Container: "app", Risk: v1alpha1.RiskLow,
			Current: memoryLimit(64 * mi), Desired: memoryLimit(128 * mi), Cause: ago(time.Second), OOM: true,
		},
		Workload: guard.Workload{Namespace: "shop", Kind: "Deployment", Name: "web", UID: "u-web", Replicas: 3, Ready: 3},
		Usage:    guard.Usage{Time: ago(10 * time.Second), MemoryBytes: 60 * mi, LastOOM: ago(time.Second)},
	}
}

// lower are facts in which nothing is in the way of less memory.
func lower() guard.Facts {
	f := raise()
	f.Decision.OOM = false
	f.Decision.Current, f.Decision.Desired = memoryLimit(512*mi), memoryLimit(384*mi)
	f.Usage = guard.Usage{Time: ago(10 * time.Second), MemoryBytes: 100 * mi, MemoryPeakBytes: 200 * mi, MemorySamples: 5000}
	return f
}

// restart are facts in which nothing is in the way of the restart of one pod.
func restart() guard.Facts {
	f := raise()
	f.Decision.OOM = false
	f.Decision.Action, f.Decision.Desired = v1alpha1.ActionRestartPod, f.Decision.Current
	f.Decision.Disrupts, f.Decision.DisruptsReady = 1, 1
	f.Workload.Budgets = []guard.DisruptionBudget{{Name: "web", Allowed: 1}}
	return f
}

// template are facts in which nothing is in the way of a change of the workload.
func template() guard.Facts {
	f := raise()
	f.Decision.Action = v1alpha1.ActionResizeTemplate
	f.Decision.Disrupts, f.Decision.DisruptsReady = 2, 2
	return f
}

// past is a Remediation for the same container that began and ended a while ago.
func past(began time.Duration, change func(*guard.Past)) guard.Past {
	p := guard.Past{
		Name: "r-" + began.String(), Namespace: "shop", WorkloadUID: "u-web", Container: "app", Action: v1alpha1.ActionResizeInPlace,
		State: v1alpha1.StateSucceeded, Started: ago(began), Finished: ago(began - time.Minute),
	}
	if change != nil {
		change(&p)
	}
	return p
}

// other is one for another workload and container of another namespace.
func other(p *guard.Past) { p.Namespace, p.WorkloadUID, p.Container = "bank", "u-other", "else" }

// raising are so many workloads, each given memory so often and killed again each
// time, all within the last hour.
func raising(workloads, steps int) (out []guard.Past) {
	for n := range workloads {
		for step := range steps {
			out = append(out, past(time.Duration(50-10*step)*time.Minute, func(p *guard.Past) {
				other(p)
				p.Name, p.WorkloadUID = fmt.Sprintf("r-%d-%d", n, step), fmt.Sprintf("u-%d", n)
				p.State, p.OOM, p.Memory, p.Killed = v1alpha1.StateEscalated, true, guard.Raise, true
			}))
		}
	}
	return out
}
