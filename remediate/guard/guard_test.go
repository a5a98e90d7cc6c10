package guard_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

const mi = 1 << 20

// Raising step by step what is killed again is how it is meant to go: any number of
// workloads that need more than one step leave the breaker closed.
func TestRaisingStepByStepIsNoFailure(t *testing.T) {
	t.Parallel()
	for steps := range 3 {
		f := raise()
		f.History = raising(20, steps)
		r := guard.Ask(f)
		assert.Equal(t, guard.Pass, r.Outcome(), "%d steps: %s", steps, r.Decisive())
	}
	f := raise()
	f.History = raising(20, 1)
	for i := range f.History { // not ready, or not in force: not for want of memory
		f.History[i].Killed = false
	}
	assert.Equal(t, "breaker", guard.Ask(f).Decisive().Guard)
}

// What a Remediation says of it: that it was killed again is in its verification.
func TestAKillSinceIsReadFromTheVerification(t *testing.T) {
	t.Parallel()
	r := &v1alpha1.Remediation{}
	assert.False(t, guard.FromRemediation(r).Killed)
	r.Status.Verification = &v1alpha1.VerificationEvidence{OOMKills: new(int32(0))}
	assert.False(t, guard.FromRemediation(r).Killed)
	r.Status.Verification.OOMKills = new(int32(1))
	assert.True(t, guard.FromRemediation(r).Killed)
}

func TestNothingIsInTheWay(t *testing.T) {
	t.Parallel()
	for name, facts := range map[string]func() guard.Facts{"raise": raise, "lower": lower, "restart": restart, "template": template} {
		r := guard.Ask(facts())
		assert.Equal(t, guard.Pass, r.Outcome(), "%s: %s", name, r.Decisive())
		for _, v := range r.Verdicts {
			assert.NotEmpty(t, v.Reason, v.Guard)
		}
	}
}

// Each guard, in cases where it alone is in the way.
func TestEachGuardAlone(t *testing.T) {
	t.Parallel()
	cases := []struct {
		guard   string
		name    string
		facts   func() guard.Facts
		change  func(*guard.Facts)
		outcome guard.Outcome
		reason  string
		until   time.Time
	}{
		{guard: "reach", name: "operator's own", facts: raise, change: func(f *guard.Facts) { f.OutOfReach = "the operator's own" }, outcome: guard.Stop, reason: "the operator's own"},
		{guard: "reach", name: "kube-system, whatever the facts say", facts: raise, change: func(f *guard.Facts) { f.Workload.Namespace = "kube-system" }, outcome: guard.Stop, reason: "kube-system is out of reach"},
		{guard: "freeze", name: "frozen", facts: raise, change: func(f *guard.Facts) { f.Operator.Frozen = "incident 42" }, outcome: guard.Wait, reason: "incident 42"},
		{guard: "freeze", name: "a person too", facts: raise, change: func(f *guard.Facts) {
			f.Operator.Frozen, f.Decision.Person, f.Decision.Approved = "incident 42", true, true
		}, outcome: guard.Wait},
		{guard: "mode", name: "no policy", facts: raise, change: func(f *guard.Facts) { f.Policy = nil }, outcome: guard.Stop, reason: "none goes no further than Recommend"},
		{guard: "mode", name: "no policy, a person asks", facts: raise, change: func(f *guard.Facts) { f.Policy, f.Decision.Person = nil, true }, outcome: guard.Approve},
		{guard: "mode", name: "Off, a person asks and another approves", facts: raise, change: func(f *guard.Facts) {
			f.Policy = auto(func(s *v1alpha1.PolicySpec) { s.Mode = v1alpha1.ModeOff })
			f.Decision.Person, f.Decision.Approved = true, true
		}, outcome: guard.Stop, reason: "mode Off"},
		{guard: "mode", name: "Approve for this action", facts: raise, change: func(f *guard.Facts) {
			f.Policy = auto(func(s *v1alpha1.PolicySpec) {
				s.Modes = []v1alpha1.ActionMode{{Action: v1alpha1.ActionResizeInPlace, Mode: v1alpha1.ModeApprove}}
			})
		}, outcome: guard.Approve},
		{guard: "mode", name: "DryRun", facts: raise, change: func(f *guard.Facts) {
			f.Policy = auto(func(s *v1alpha1.PolicySpec) { s.Mode = v1alpha1.ModeDryRun })
		}, outcome: guard.DryRun},
		{guard: "mode", name: "a mode of another version", facts: raise, change: func(f *guard.Facts) {
			f.Policy = auto(func(s *v1alpha1.PolicySpec) { s.Mode = "Yolo" })
		}, outcome: guard.Stop},
		{guard: "risk", name: "above the ceiling", facts: raise, change: func(f *guard.Facts) { f.Decision.Risk = v1alpha1.RiskHigh }, outcome: guard.Approve},
		{guard: "risk", name: "not computed", facts: raise, change: func(f *guard.Facts) { f.Decision.Risk = "" }, outcome: guard.Approve},
		{guard: "cause_age", name: "old", facts: raise, change: func(f *guard.Facts) { f.Decision.Cause = ago(11 * time.Minute) }, outcome: guard.Stop, reason: "too old"},
		{guard: "cause_age", name: "none", facts: raise, change: func(f *guard.Facts) { f.Decision.Cause = time.Time{} }, outcome: guard.Stop},
		{guard: "cause_age", name: "older than the process and more", facts: raise, change: func(f *guard.Facts) {
			f.Operator.Started = ago(time.Minute)
			f.Decision.Proposed, f.Decision.Cause = ago(12*time.Minute), ago(13*time.Minute)
		}, outcome: guard.Stop},
		{guard: "warm_up", name: "just started", facts: raise, change: func(f *guard.Facts) { f.Operator.Started = ago(4 * time.Second) }, outcome: guard.Wait, until: now.Add(6 * time.Second)},
		{guard: "rollout", name: "going on, restart", facts: restart, change: func(f *guard.Facts) { f.Workload.RollingOut = true }, outcome: guard.Wait},
		{guard: "rollout", name: "recent, lower", facts: lower, change: func(f *guard.Facts) { f.Workload.RolledOut = ago(time.Minute) }, outcome: guard.Wait, until: now.Add(4 * time.Minute)},
		{guard: "window", name: "outside", facts: raise, change: func(f *guard.Facts) {
			f.Policy = auto(func(s *v1alpha1.PolicySpec) {
				s.Windows = []v1alpha1.Window{{Name: "night", Type: v1alpha1.WindowAllow, TimeZone: "UTC", Start: "22:00", End: "06:00"}}
			})
		}, outcome: guard.Wait, reason: "outside of every window", until: now.Add(10 * time.Hour)},
		{guard: "stale_usage", name: "nothing known, scale in", facts: raise, change: func(f *guard.Facts) {
			f.Usage = guard.Usage{}
			f.Decision.OOM, f.Decision.Desired = false, f.Decision.Current
			f.Decision.CurrentReplicas, f.Decision.DesiredReplicas = 3, 2
		}, outcome: guard.Stop, reason: "nothing is known of its usage"},
		{guard: "stale_usage", name: "old", facts: lower, change: func(f *guard.Facts) { f.Usage.Time = ago(6 * time.Minute) }, outcome: guard.Stop},
		{guard: "memory_floor", name: "used more than that", facts: lower, change: func(f *guard.Facts) { f.Usage.MemoryPeakBytes = 400 * mi }, outcome: guard.Stop},
		{guard: "memory_floor", name: "used almost that", facts: lower, change: func(f *guard.Facts) { f.Usage.MemoryBytes = 350 * mi }, outcome: guard.Stop},
		{guard: "memory_floor", name: "a limit below it where there was none", facts: lower, change: func(f *guard.Facts) {
			f.Decision.Current.Limits, f.Usage.MemoryPeakBytes = policy.Amounts{}, 400*mi
		}, outcome: guard.Stop},
		{guard: "stale_usage", name: "a limit where there was none", facts: lower, change: func(f *guard.Facts) {
			f.Decision.Current = policy.Size{Requests: f.Decision.Desired.Requests}
			f.Usage.Time = ago(6 * time.Minute)
		}, outcome: guard.Stop},
		{guard: "memory_evidence", name: "recent OOM", facts: lower, change: func(f *guard.Facts) { f.Usage.LastOOM = ago(23 * time.Hour) }, outcome: guard.Stop, reason: "OOM-killed recently"},
		{guard: "memory_evidence", name: "no samples, a person approved", facts: lower, change: func(f *guard.Facts) {
			f.Usage.MemorySamples = 0
			f.Decision.Person, f.Decision.Approved = true, true
		}, outcome: guard.Stop, reason: "too few samples"},
		{guard: "oscillation", name: "up, down and up", facts: raise, change: func(f *guard.Facts) {
			f.Decision.OOM = false
			f.History = []guard.Past{
				past(3*time.Hour, func(p *guard.Past) { p.Memory = guard.Lower }),
				past(4*time.Hour, func(p *guard.Past) { p.Memory = guard.Raise }),
			}
		}, outcome: guard.Approve, reason: "up and down"},
		{guard: "leak", name: "did not help three times", facts: raise, change: func(f *guard.Facts) {
			for _, d := range []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour} {
				f.History = append(f.History, past(d, func(p *guard.Past) { p.OOM, p.Memory = true, guard.Raise }))
			}
		}, outcome: guard.Stop, reason: "leak"},
		{guard: "breaker", name: "three in a row", facts: raise, change: func(f *guard.Facts) {
			for _, d := range []time.Duration{30 * time.Minute, 2 * time.Hour, 3 * time.Hour} {
				f.History = append(f.History, past(d, func(p *guard.Past) { p.State = v1alpha1.StateRolledBack }))
			}
		}, outcome: guard.Approve, reason: "for this workload failed"},
		{guard: "breaker", name: "five that were given memory as often as may be", facts: raise, change: func(f *guard.Facts) {
			f.History = append(f.History, raising(5, 3)...)
		}, outcome: guard.Approve, reason: "in the cluster failed"},
		{guard: "breaker", name: "most of the cluster's, beside those that were given more", facts: raise, change: func(f *guard.Facts) {
			f.History = append(f.History, raising(6, 1)...)
			for i := range 5 {
				f.History = append(f.History, past(time.Duration(20+i)*time.Minute, func(p *guard.Past) {
					other(p)
					p.State = v1alpha1.StateFailed
				}))
			}
		}, outcome: guard.Approve, reason: "in the cluster failed"},
		{guard: "breaker", name: "most of the cluster's", facts: raise, change: func(f *guard.Facts) {
			for i := range 7 {
				f.History = append(f.History, past(time.Duration(20+i)*time.Minute, func(p *guard.Past) {
					other(p)
					if i < 5 {
						p.State = v1alpha1.StateEscalated
					}
				}))
			}
		}, outcome: guard.Approve, reason: "in the cluster failed"},
		{guard: "cooldown", name: "raised again", facts: raise, change: func(f *guard.Facts) {
			f.History = []guard.Past{past(4*time.Second, func(p *guard.Past) { p.State, p.Finished = v1alpha1.StateVerifying, time.Time{} })}
		}, outcome: guard.Wait, until: now.Add(6 * time.Second)},
		{guard: "cooldown", name: "lowered too soon", facts: lower, change: func(f *guard.Facts) {
			f.History = []guard.Past{past(time.Hour, nil)}
		}, outcome: guard.Wait, until: now.Add(5*time.Hour + time.Minute)},
		{guard: "cooldown", name: "disrupted again", facts: restart, change: func(f *guard.Facts) {
			f.History = []guard.Past{past(5*time.Minute, func(p *guard.Past) { p.Disruptive, p.Disruptions = true, 1 })}
		}, outcome: guard.Wait, until: now.Add(6 * time.Minute)},
		{guard: "cooldown", name: "another is under way", facts: restart, change: func(f *guard.Facts) {
			f.History = []guard.Past{past(20*time.Minute, func(p *guard.Past) { p.State = v1alpha1.StateVerifying })}
		}, outcome: guard.Wait, reason: "under way for this container"},
		{guard: "budget", name: "actions of the workload", facts: raise, change: func(f *guard.Facts) {
			for i := range 6 {
				f.History = append(f.History, past(time.Duration(9-i)*time.Minute, func(p *guard.Past) { p.Container = "else" }))
			}
		}, outcome: guard.Wait, reason: "the workload's budget of actions", until: now.Add(time.Minute)},
		{guard: "budget", name: "disruptions of the namespace", facts: restart, change: func(f *guard.Facts) {
			f.History = []guard.Past{past(2*time.Minute, func(p *guard.Past) {
				p.WorkloadUID, p.Disruptive, p.Disruptions = "u-other", true, 5
			})}
		}, outcome: guard.Wait, reason: "the namespace's budget of disruptions", until: now.Add(8 * time.Minute)},
		{guard: "budget", name: "the cluster's, a person too", facts: raise, change: func(f *guard.Facts) {
			f.ClusterBudget = &v1alpha1.Budget{Per: v1alpha1.Of(time.Hour), Actions: 1}
			f.Decision.Approved = true
			f.History = []guard.Past{past(15*time.Minute, other)}
		}, outcome: guard.Wait, reason: "the cluster's budget of actions", until: now.Add(45 * time.Minute)},
		{guard: "budget", name: "at once", facts: restart, change: func(f *guard.Facts) {
			for range 2 {
				f.History = append(f.History, past(time.Hour, func(p *guard.Past) {
					p.WorkloadUID, p.State, p.Disruptive, p.Disruptions = "u-other", v1alpha1.StateVerifying, true, 1
				}))
			}
		}, outcome: guard.Wait, reason: "too many disruptions are under way in the namespace"},
		{guard: "budget", name: "more than it ever has", facts: template, change: func(f *guard.Facts) {
			f.Decision.Disrupts = 20
			f.Workload.Ready = 30
		}, outcome: guard.Stop, reason: "never has enough"},
		{guard: "disruption_budget", name: "no room for a ready one, whoever is spared", facts: restart, change: func(f *guard.Facts) {
			f.Workload.Budgets[0] = guard.DisruptionBudget{Name: "web", SparesReady: true}
		}, outcome: guard.Wait, reason: "PodDisruptionBudget web"},
		{guard: "disruption_budget", name: "no room for one that is not ready", facts: restart, change: func(f *guard.Facts) {
			f.Decision.DisruptsReady, f.Workload.Budgets[0].Allowed = 0, 0
		}, outcome: guard.Wait, reason: "PodDisruptionBudget web"},
		{guard: "disruption_budget", name: "no room", facts: restart, change: func(f *guard.Facts) { f.Workload.Budgets[0].Allowed = 0 }, outcome: guard.Wait, reason: "PodDisruptionBudget web"},
		{guard: "last_ready", name: "restart", facts: restart, change: func(f *guard.Facts) { f.Workload.Ready = 1 }, outcome: guard.Stop},
		{guard: "last_ready", name: "scale in, a person approved", facts: lower, change: func(f *guard.Facts) {
			f.Decision.Desired = f.Decision.Current
			f.Decision.CurrentReplicas, f.Decision.DesiredReplicas = 3, 1
			f.Workload.Ready = 2
			f.Decision.Approved = true
		}, outcome: guard.Stop},
		{guard: "gitops", name: "an owner", facts: template, change: func(f *guard.Facts) { f.Workload.GitOps = "Argo CD" }, outcome: guard.Export, reason: "Argo CD owns the manifests"},
		{guard: "gitops", name: "the policy", facts: template, change: func(f *guard.Facts) {
			f.Policy = auto(func(s *v1alpha1.PolicySpec) { s.Persistence = v1alpha1.PersistExport })
		}, outcome: guard.Export},
	}
	tested := map[string]bool{}
	for _, c := range cases {
		tested[c.guard] = true
		t.Run(c.guard+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			facts := c.facts()
			c.change(&facts)
			r := guard.Ask(facts)
			for _, v := range r.Verdicts {
				if v.Guard != c.guard {
					assert.Equal(t, guard.Pass, v.Outcome, v.String())
				}
			}
			v := r.Decisive()
			assert.Equal(t, c.guard, v.Guard, v.String())
			assert.Equal(t, c.outcome, v.Outcome, v.String())
			assert.Contains(t, v.Reason, c.reason)
			assert.Equal(t, c.until, v.Until)
		})
	}
	for _, g := range guard.Guards() {
		assert.True(t, tested[g.Name], "guard %s has no case in which it is alone", g.Name)
	}
}

// What must not be held up.
func TestWhatPasses(t *testing.T) {
	t.Parallel()
	for name, facts := range map[string]func(*guard.Facts){
		"an OOM during a rollout": func(f *guard.Facts) { f.Workload.RollingOut = true },
		"two raises that did not help yet": func(f *guard.Facts) {
			for _, d := range []time.Duration{2 * time.Minute, 4 * time.Minute} {
				f.History = append(f.History, past(d, func(p *guard.Past) {
					p.OOM, p.Memory, p.State = true, guard.Raise, v1alpha1.StateEscalated
				}))
			}
		},
		"an OOM after it was lowered": func(f *guard.Facts) {
			f.History = []guard.Past{
				past(3*time.Hour, func(p *guard.Past) { p.Memory = guard.Lower }),
				past(4*time.Hour, func(p *guard.Past) { p.Memory = guard.Raise }),
			}
		},
		"the last ready replica, without a restart": func(f *guard.Facts) { f.Workload.Ready, f.Workload.Replicas = 1, 1 },
		"no room for disruption, and none needed": func(f *guard.Facts) {
			f.Workload.Budgets = []guard.DisruptionBudget{{Name: "web"}}
		},
		"its own record": func(f *guard.Facts) {
			f.Policy = auto(func(s *v1alpha1.PolicySpec) { s.Budgets.Workload.Actions = 1 })
			f.History = []guard.Past{past(time.Second, func(p *guard.Past) { p.Name = "r-new" })}
		},
		"no usage at all":        func(f *guard.Facts) { f.Usage = guard.Usage{} },
		"pods of a GitOps owner": func(f *guard.Facts) { f.Workload.GitOps = "Flux" },
		"a window after it was made": func(f *guard.Facts) {
			f.Decision.Proposed, f.Decision.Cause = ago(8*time.Hour), ago(8*time.Hour+time.Minute)
			f.Operator.Started = ago(24 * time.Hour)
		},
		"approved": func(f *guard.Facts) {
			f.Policy = auto(func(s *v1alpha1.PolicySpec) { s.Mode = v1alpha1.ModeApprove })
			f.Decision.Risk, f.Decision.Approved, f.Decision.Cause = v1alpha1.RiskCritical, true, ago(time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := raise()
			facts(&f)
			r := guard.Ask(f)
			assert.Equal(t, guard.Pass, r.Outcome(), r.Decisive())
		})
	}
}

func TestResult(t *testing.T) {
	t.Parallel()
	f := raise()
	f.Decision.Risk = v1alpha1.RiskHigh
	f.Operator.Started = ago(4 * time.Second)
	f.History = []guard.Past{past(2*time.Second, func(p *guard.Past) { p.State = v1alpha1.StateVerifying })}
	r := guard.Ask(f)
	assert.Equal(t, guard.Wait, r.Outcome())
	assert.Equal(t, now.Add(8*time.Second), r.Until(), "the later of two")
	assert.True(t, r.Needs(guard.Approve))
	assert.False(t, r.Needs(guard.Stop))
	assert.Contains(t, r.Decisive().String(), "warm_up: Wait: the operator has just started (since 4s, warm_up 10s)")

	f.Operator.Frozen = "yes"
	assert.True(t, guard.Ask(f).Until().IsZero(), "something else than time must change")
}

func TestFromRemediation(t *testing.T) {
	t.Parallel()
	q := func(s string) *resource.Quantity { return new(resource.MustParse(s)) }
	r := &v1alpha1.Remediation{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "r-1"},
		Spec: v1alpha1.RemediationSpec{
			Workload: v1alpha1.WorkloadReference{UID: "u-web"}, Container: "app", Disruptive: true,
			Action: v1alpha1.RemediationAction{Kind: v1alpha1.ActionResizeInPlace},
			Cause:  &v1alpha1.Cause{Type: "pod.oom_killed"},
		},
		Status: v1alpha1.RemediationStatus{
			State: v1alpha1.StateVerifying, StartTime: &metav1.MicroTime{Time: ago(time.Minute)},
			Targets: []v1alpha1.Target{{
				Before:  &v1alpha1.TargetValues{Limits: &v1alpha1.Resources{CPU: q("500m"), Memory: q("64Mi")}},
				Desired: &v1alpha1.TargetValues{Limits: &v1alpha1.Resources{CPU: q("500m"), Memory: q("128Mi")}},
			}, {}},
		},
	}
	p := guard.FromRemediation(r)
	assert.Equal(t, guard.Past{
		Name: "r-1", Namespace: "shop", WorkloadUID: "u-web", Container: "app", Action: v1alpha1.ActionResizeInPlace,
		State: v1alpha1.StateVerifying, OOM: true, Started: ago(time.Minute), Disruptive: true, Disruptions: 2, Memory: guard.Raise,
	}, p)
	require.Equal(t, guard.Past{Name: "r-2"}, guard.FromRemediation(&v1alpha1.Remediation{ObjectMeta: metav1.ObjectMeta{Name: "r-2"}}))
}

// Asking changes nothing that the facts point to.
func TestAskIsPure(t *testing.T) {
	t.Parallel()
	f := raise()
	f.History = []guard.Past{past(time.Minute, nil), past(2*time.Minute, nil), past(time.Second, func(p *guard.Past) { p.Name = "r-new" })}
	before := append([]guard.Past(nil), f.History...)
	first := guard.Ask(f)
	assert.Equal(t, before, f.History)
	assert.Equal(t, first, guard.Ask(f))
}

// A pod that is not ready may be evicted where the eviction API lets it go; a
// rollout goes around that API.
func TestAnUnreadyPodMayGoWhereEnoughOthersAreHealthy(t *testing.T) {
	t.Parallel()
	f := restart()
	f.Decision.DisruptsReady = 0
	f.Workload.Budgets[0] = guard.DisruptionBudget{Name: "web", SparesReady: true}
	assert.Equal(t, guard.Pass, guard.Ask(f).Outcome())
	f.Decision.Action = v1alpha1.ActionRolloutRestart
	assert.Equal(t, guard.Wait, guard.Ask(f).Outcome())
}

// What a Remediation disrupted counts by its targets, each with all of its pods.
func TestDisruptionsAreCountedByPods(t *testing.T) {
	t.Parallel()
	started := metav1.NewMicroTime(ago(time.Minute))
	r := &v1alpha1.Remediation{}
	r.Spec.Disruptive, r.Status.StartTime = true, &started
	assert.EqualValues(t, 1, guard.FromRemediation(r).Disruptions, "an intent that is not written yet")
	three := &v1alpha1.TargetValues{Other: "ends=2"}
	three.SetNumber(v1alpha1.NoteDisrupts, 3)
	r.Status.Targets = []v1alpha1.Target{{UID: "a", Before: three}, {UID: "b"}}
	assert.EqualValues(t, 4, guard.FromRemediation(r).Disruptions)
	assert.EqualValues(t, 2, three.Number("ends"))
}

// What is told of a verdict to whoever may see the workload counts nothing of other
// namespaces; the audit's evidence does.
func TestNumbersOfTheClusterAreEvidenceAlone(t *testing.T) {
	t.Parallel()
	f := raise()
	elsewhere := func(p *guard.Past) { p.Namespace, p.WorkloadUID, p.State = "bank", "u-bank", v1alpha1.StateEscalated }
	for i := range 7 {
		f.History = append(f.History, past(time.Duration(i+2)*time.Minute, elsewhere))
	}
	f.ClusterBudget = &v1alpha1.Budget{Actions: 7, Disruptions: 7, Concurrent: 7, Per: v1alpha1.Of(time.Hour)}
	result := guard.Ask(f)
	require.Equal(t, "budget", result.Decisive().Guard)
	for _, v := range result.Verdicts {
		assert.NotContains(t, v.String(), "7", "%s counts", v.Guard)
		if v.Guard == "breaker" || v.Guard == "budget" {
			assert.Contains(t, v.Evidence(), " 7", v.Guard)
		}
	}
	f.ClusterBudget = &v1alpha1.Budget{Actions: 77, Disruptions: 77, Concurrent: 77, Per: v1alpha1.Of(time.Hour)}
	for _, v := range guard.Ask(f).Verdicts {
		if v.Guard == "budget" {
			assert.NotContains(t, v.String(), "7/77")
			assert.Contains(t, v.String(), "namespace_actions 0/")
			assert.Contains(t, v.Evidence(), "cluster_actions 7/77")
		}
	}
}

// What was refused gave nothing, and says nothing of whether more would help.
func TestRaisesWithoutEffectAreNoLeak(t *testing.T) {
	t.Parallel()
	f := raise()
	for i, state := range []v1alpha1.RemediationState{v1alpha1.StateFailed, v1alpha1.StateAborted, v1alpha1.StateFailed, v1alpha1.StateEscalated} {
		f.History = append(f.History, past(time.Duration(i+1)*time.Hour, func(p *guard.Past) { p.OOM, p.Memory, p.State = true, guard.Raise, state }))
	}
	verdict := guard.Ask(f)
	for _, v := range verdict.Verdicts {
		if v.Guard == "leak" {
			assert.Equal(t, guard.Pass, v.Outcome, v.String())
			assert.Contains(t, v.String(), "raises 1")
		}
	}
	assert.NotEmpty(t, verdict.Verdicts)
}
