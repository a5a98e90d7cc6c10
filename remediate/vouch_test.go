package remediate_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// unapproved is a world in which a decision waits for a person.
func unapproved(t *testing.T, replicas int32) *world {
	w := newWorld(t, replicas)
	w.spec.Mode = v1alpha1.ModeApprove
	return w
}

// forge writes the status of the one Remediation as somebody may who has the right
// to, where no admission policy keeps him from it.
func (w *world) forge(change func(*v1alpha1.RemediationStatus)) {
	w.t.Helper()
	w.api.ChangeRemediation("shop", w.only().Name, change)
}

// boss approves what he never saw.
func boss(status *v1alpha1.RemediationStatus) {
	at := metav1.NowMicro()
	status.Approval = &v1alpha1.ApprovalDecision{Decision: v1alpha1.DecisionApprove, User: "boss", Generation: 1, Time: &at}
}

// target is an effect on a pod that somebody says to have been intended.
func target(pod string, before, desired string, result v1alpha1.TargetResult) v1alpha1.Target {
	memory := func(size string) *v1alpha1.TargetValues {
		q := resource.MustParse(size)
		return &v1alpha1.TargetValues{Limits: &v1alpha1.Resources{Memory: &q}}
	}
	return v1alpha1.Target{Pod: pod, UID: "uid-" + pod, ResourceVersion: "1", Before: memory(before), Desired: memory(desired), Result: result}
}

// Where no admission policy is in force, whoever may write a Remediation's status
// can write any state into it. Nothing that the operator has not recorded itself
// comes of it: not where it is seen at once, and not where a new leader finds it.
func TestAForgedStatusHasNoEffect(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		forge func(*v1alpha1.RemediationStatus)
		want  v1alpha1.RemediationState
		why   string
	}{
		"approved": {func(s *v1alpha1.RemediationStatus) {
			boss(s)
			s.State = v1alpha1.StateApproved
		}, v1alpha1.StateAborted, "the audit chain has no record"},
		"under way": {func(s *v1alpha1.RemediationStatus) {
			boss(s)
			s.State, s.Targets = v1alpha1.StateExecuting, []v1alpha1.Target{target("web-0", "64Mi", "103Mi", v1alpha1.TargetIntended)}
		}, v1alpha1.StateAborted, "asks for approval"},
		"carried out": {func(s *v1alpha1.RemediationStatus) {
			boss(s)
			s.State, s.Targets = v1alpha1.StateVerifying, []v1alpha1.Target{target("web-0", "48Mi", "64Mi", v1alpha1.TargetApplied)}
		}, v1alpha1.StateEscalated, "the audit chain has no record"},
		"to be taken back": {func(s *v1alpha1.RemediationStatus) {
			boss(s)
			s.State, s.Targets = v1alpha1.StateSucceeded, []v1alpha1.Target{target("web-0", "48Mi", "64Mi", v1alpha1.TargetConfirmed)}
			s.Conditions = []metav1.Condition{{Type: "RollbackRequested", Status: metav1.ConditionTrue, Reason: "AskedFor", Message: "boss"}}
		}, v1alpha1.StateSucceeded, "a rollback was asked for, and the audit chain has no record"},
	} {
		for _, led := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := unapproved(t, 2)
					o := w.start("one", nil)
					w.in(v1alpha1.StatePendingApproval)
					if !led {
						o.stop()
					}
					w.mu.Lock()
					w.problems = nil // nothing else is to be done
					w.mu.Unlock()
					w.forge(c.forge)
					if !led {
						o = w.start("two", nil)
					}
					defer o.stop()
					time.Sleep(5 * time.Minute)
					made := w.api.Remediations("shop")
					first := slices.MinFunc(made, func(a, b *v1alpha1.Remediation) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
					assert.Equal(t, c.want, first.Status.State, first.Status.Message)
					assert.Contains(t, first.Status.Message, c.why)
					assert.Empty(t, w.api.Effects())
					assert.Equal(t, []int64{64, 64}, w.limits("web-0", "web-1"))
				})
			})
		}
	}
}

// What was approved and carried out can be taken back to what it was before, not to
// what somebody has written there.
func TestARollbackGoesBackToWhatWasRecorded(t *testing.T) {
	t.Parallel()
	for name, forged := range map[string]bool{"as it was": false, "forged": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := unapproved(t, 2)
				o := w.start("one", nil)
				w.in(v1alpha1.StatePendingApproval)
				_, err := o.engine.Approve(t.Context(), another, remediate.Choice{Namespace: "shop", Name: w.only().Name})
				require.NoError(t, err)
				w.in(v1alpha1.StateSucceeded)
				o.stop()
				if forged {
					w.forge(func(s *v1alpha1.RemediationStatus) {
						for i := range s.Targets {
							s.Targets[i].Before.Limits.Memory = new(resource.MustParse("33Mi"))
						}
					})
				}
				o = w.start("two", nil)
				defer o.stop()
				require.True(t, until(func() bool {
					_, err = o.engine.Rollback(t.Context(), another, remediate.Choice{Namespace: "shop", Name: w.only().Name})
					return err == nil
				}))
				time.Sleep(time.Minute)
				if r := w.only(); forged {
					assert.Equal(t, v1alpha1.StateSucceeded, r.Status.State)
					assert.Contains(t, r.Status.Message, "no record of this effect")
					assert.Equal(t, []int64{103, 103}, w.limits("web-0", "web-1"))
				} else {
					assert.Equal(t, v1alpha1.StateRolledBack, r.Status.State, r.Status.Message)
					assert.Equal(t, []int64{64, 64}, w.limits("web-0", "web-1"))
				}
			})
		})
	}
}

// An approval that another replica wrote, or one that is gone, is carried out by
// whoever leads next.
func TestAnApprovalIsCarriedOutByTheNextLeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := unapproved(t, 2)
		first := w.start("first", nil)
		w.in(v1alpha1.StatePendingApproval)
		w.frozen = "an exercise" // what is approved is not carried out yet
		_, err := first.engine.Approve(t.Context(), another, remediate.Choice{Namespace: "shop", Name: w.only().Name})
		require.NoError(t, err)
		first.stop()
		w.frozen = ""
		second := w.start("second", nil)
		defer second.stop()
		w.in(v1alpha1.StateSucceeded)
		assert.Len(t, w.api.Effects(), 2)
		w.kept()
	})
}

// What a policy lets be done by itself is done without a look into the audit.
func TestWhatIsDoneByItselfReadsNoAudit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		o := w.start("one", nil)
		defer o.stop()
		require.Equal(t, v1alpha1.StateSucceeded, w.settled().Status.State)
		assert.Zero(t, w.reads)
	})
}

// Whoever makes a Remediation by himself, where no admission policy keeps him from it,
// does not say how risky it is: above the ceiling a person is asked, whatever it says.
func TestAHandMadeRemediationDoesNotSetItsOwnRisk(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ceiling v1alpha1.RiskLevel
		want    v1alpha1.RemediationState
	}{
		"above the ceiling": {v1alpha1.RiskLow, v1alpha1.StatePendingApproval},
		"below it":          {v1alpha1.RiskCritical, v1alpha1.StateSucceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := quiet(t, 3)
				w.spec.RiskCeiling = c.ceiling
				o := w.start("one", nil)
				defer o.stop()
				client, err := kube.New(w.api.Client().Config())
				require.NoError(t, err)
				r := &v1alpha1.Remediation{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "mine"}}
				r.Spec.Workload = v1alpha1.WorkloadReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "uid-web"}
				r.Spec.Action, r.Spec.Mode, r.Spec.Disruptive = v1alpha1.RemediationAction{Kind: v1alpha1.ActionRolloutRestart}, v1alpha1.ModeAuto, true
				r.Spec.Risk, r.Spec.RequestedBy, r.Spec.Episode = v1alpha1.RiskLow, "alice", "1"
				_, err = client.CreateRemediation(t.Context(), r, false)
				require.NoError(t, err)
				w.in(c.want)
			})
		})
	}
}
