package remediate_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// byKind is the Remediation of a kind; nil where there is none or more than one.
func (w *world) byKind(kind v1alpha1.ActionKind) *v1alpha1.Remediation {
	var found []*v1alpha1.Remediation
	for _, r := range w.api.Remediations("shop") {
		if r.Spec.Action.Kind == kind {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		return nil
	}
	return found[0]
}

// owned is a world whose Deployment's manifest is Argo CD's, with a webhook.
func owned(t *testing.T) *world {
	w := unasked(t, 4, false)
	w.spec.Webhooks = []v1alpha1.Webhook{{Name: "git", URL: "https://git.example.com/in", Answer: v1alpha1.WebhookIgnore}}
	w.api.ChangeDeployment("shop", "web", "kubectl", func(d *appsv1.Deployment) {
		d.Annotations = map[string]string{"argocd.argoproj.io/tracking-id": "web:apps/Deployment:shop/web"}
	})
	return w
}

// What somebody else's manifests own is not changed: the patch is handed out, as a
// Remediation of its own and to the policy's webhooks. Killed at any write, the
// operator hands it out at least once, under one key.
func TestWhatGitOpsOwnsIsExported(t *testing.T) {
	t.Parallel()
	kills := killedAtEachWrite(t, story{world: owned, wish: new(scaled(6)), check: func(w *world, when string) {
		asked, export := w.byKind(v1alpha1.ActionScale), w.byKind(v1alpha1.ActionExport)
		require.NotNil(w.t, export, when)
		assert.Equal(w.t, v1alpha1.StateAborted, asked.Status.State)
		assert.Contains(w.t, asked.Status.Message, "Argo CD owns the manifests")
		assert.Equal(w.t, v1alpha1.StateSucceeded, export.Status.State, export.Status.Message)
		assert.JSONEq(w.t, `[{"op":"test","path":"/spec/replicas","value":4},{"op":"replace","path":"/spec/replicas","value":6}]`, export.Spec.Diff)
		assert.YAMLEq(w.t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop}, spec: {replicas: 6}}", remediate.Proto(export).GetPatch())
		calls := w.called()
		require.NotEmpty(w.t, calls)
		for _, c := range calls {
			assert.Equal(w.t, made{action.HandOut, "git", export.Name, "web"}, c)
		}
		assert.Empty(w.t, w.api.Effects(), "nothing is changed")
	}})
	assert.GreaterOrEqual(t, kills, 8)
}

// Under persistence Export a cure is made in place, lasts for new pods, and is
// handed to whoever owns the manifest: once for each size, and not where the
// manifest has it.
func TestALastingSizeIsHandedOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.spec.Persistence = v1alpha1.PersistExport
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(func() bool {
			e := w.byKind(v1alpha1.ActionExport)
			return e != nil && e.Status.State == v1alpha1.StateSucceeded
		}), "%+v", w.api.Remediations("shop"))
		export := w.byKind(v1alpha1.ActionExport)
		assert.Equal(t, "app", export.Spec.Container)
		assert.YAMLEq(t, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop}, spec: {template: {spec: {containers: [
			{name: app, resources: {limits: {memory: 103Mi}}}]}}}}`, remediate.Proto(export).GetPatch())
		assert.EqualValues(t, 64*mi, w.api.Deployment("shop", "web").Spec.Template.Spec.Containers[0].Resources.Limits.Memory().Value())
		assert.Len(t, w.api.Effects(), 2)

		w.api.ChangePod("shop", "web-0", func(p *corev1.Pod) *corev1.Pod { // as one that was made anew
			p.UID, p.ManagedFields = "uid-new", nil
			p.Spec.Containers[0].Resources.Limits[corev1.ResourceMemory] = resource.MustParse("64Mi")
			return p
		})
		require.True(t, until(func() bool { return w.limits("web-0")[0] > 64 }), "a new pod is given it")
		time.Sleep(10 * time.Minute)
		exports := slices.DeleteFunc(w.api.Remediations("shop"), func(r *v1alpha1.Remediation) bool { return r.Spec.Action.Kind != v1alpha1.ActionExport })
		assert.Len(t, exports, 1, "once for each size")
		w.kept()
	})
}

// A policy that does not export says so.
func TestAnExportIsThePolicysToAllow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.spec.Persistence = v1alpha1.PersistExport
		w.spec.Modes = []v1alpha1.ActionMode{{Action: v1alpha1.ActionExport, Mode: v1alpha1.ModeRecommend}}
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(w.ended))
		time.Sleep(5 * time.Minute)
		assert.Len(t, w.api.Remediations("shop"), 1)
	})
}

// An export that came to nothing is not made again with each pod that starts, nor is
// a webhook called again.
func TestAnExportThatCameToNothingIsNotMadeAgainAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mode v1alpha1.Mode
		want v1alpha1.RemediationState
	}{
		"a dry run":              {v1alpha1.ModeDryRun, v1alpha1.StateDryRun},
		"a webhook that refuses": {v1alpha1.ModeAuto, v1alpha1.StateFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				w.spec.Persistence = v1alpha1.PersistExport
				w.spec.Modes = []v1alpha1.ActionMode{{Action: v1alpha1.ActionExport, Mode: c.mode}}
				w.spec.MaxCauseAge = v1alpha1.Of(24 * time.Hour)
				w.spec.Webhooks = []v1alpha1.Webhook{{Name: "git", URL: "https://git.example.com/in", Answer: v1alpha1.WebhookIgnore}}
				w.answers = func(purpose action.Purpose, _ string) (action.Answer, error) {
					if purpose == action.HandOut {
						return action.Answer{}, action.ErrRefused
					}
					return action.Answer{}, nil
				}
				o := w.start("one", nil)
				defer o.stop()
				require.True(t, until(func() bool { return len(w.states(v1alpha1.ActionExport)) > 0 }))
				for range 20 {
					o.events <- w.started()
					time.Sleep(time.Minute)
				}
				assert.Equal(t, []v1alpha1.RemediationState{c.want}, w.states(v1alpha1.ActionExport), w.story())
				time.Sleep(time.Hour)
				o.events <- w.started()
				time.Sleep(time.Minute)
				assert.Equal(t, []v1alpha1.RemediationState{c.want, c.want}, w.states(v1alpha1.ActionExport), "an hour later it is tried again")
			})
		})
	}
}

// started is the event of a pod that started.
func (*world) started() *rightsizerv1.Event {
	return &rightsizerv1.Event{Type: "pod.started", Namespace: "shop", Workload: &rightsizerv1.WorkloadRef{Kind: "Deployment", Name: "web"}}
}
