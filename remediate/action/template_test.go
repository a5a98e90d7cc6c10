package action_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/kubetest"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

const mi = 1 << 20

func memory(size string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(size)}
}

// Workloads of each kind, named x.
var (
	named    = metav1.ObjectMeta{Namespace: "shop", Name: "x"}
	selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "x"}}
	template = corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: selector.MatchLabels},
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: "migrate", Resources: corev1.ResourceRequirements{Limits: memory("64Mi")}}},
			Containers:     []corev1.Container{{Name: "app", Resources: corev1.ResourceRequirements{Requests: memory("32Mi"), Limits: memory("64Mi")}}},
		},
	}
)

func deployment(change func(*appsv1.Deployment)) kubetest.Workload {
	d := &appsv1.Deployment{ObjectMeta: named, Spec: appsv1.DeploymentSpec{Replicas: new(int32(4)), Selector: selector, Template: template}}
	if change != nil {
		change(d)
	}
	return d
}

func statefulSet(change func(*appsv1.StatefulSet)) kubetest.Workload {
	s := &appsv1.StatefulSet{ObjectMeta: named, Spec: appsv1.StatefulSetSpec{Replicas: new(int32(4)), Selector: selector, Template: template}}
	if change != nil {
		change(s)
	}
	return s
}

func daemonSet(change func(*appsv1.DaemonSet)) kubetest.Workload {
	d := &appsv1.DaemonSet{ObjectMeta: named, Spec: appsv1.DaemonSetSpec{Selector: selector, Template: template}}
	d.Status.DesiredNumberScheduled = 3
	if change != nil {
		change(d)
	}
	return d
}

func cronJob() kubetest.Workload {
	return &batchv1.CronJob{ObjectMeta: named, Spec: batchv1.CronJobSpec{
		Schedule: "0 3 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template}},
	}}
}

func job() kubetest.Workload {
	return &batchv1.Job{ObjectMeta: named, Spec: batchv1.JobSpec{Selector: selector, Template: template}}
}

// subject reads a workload and asks for a memory limit in MiB.
func subject(t *testing.T, client *kube.Client, kind string, limit int64) *action.Subject {
	t.Helper()
	w, err := client.Workload(t.Context(), "shop", kind, "x")
	require.NoError(t, err)
	return &action.Subject{
		Decision: "0123456789", Container: "app", Workload: w, Policy: policy.Default(),
		Want: v1alpha1.RemediationAction{Limits: policy.Amounts{MemoryBytes: limit * mi}.Resources()},
	}
}

func connect(t *testing.T, api *kubetest.API) *kube.Client {
	t.Helper()
	client, err := kube.New(api.Client().Config())
	require.NoError(t, err)
	return client
}

// A template of each kind is resized by one write, found again, verified, and taken
// back; what cannot be done is said why.
func TestATemplateOfEachKind(t *testing.T) {
	t.Parallel()
	onDelete := func(s *appsv1.StatefulSet) { s.Spec.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType }
	for name, c := range map[string]struct {
		kind      string
		workload  kubetest.Workload
		path      string
		disrupted int32
		missing   int32 // ready pods, at a time
		restarts  string
		resizes   string
		note      string // of a success that saw no pods
	}{
		"Deployment": {"Deployment", deployment(nil), "/spec/template", 1, 1, "", "", ""},
		"one that adds before it takes away": {"Deployment", deployment(func(d *appsv1.Deployment) {
			d.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxUnavailable: new(intstr.FromInt32(0))}
		}), "/spec/template", 1, 0, "", "", ""},
		"one that is recreated": {"Deployment", deployment(func(d *appsv1.Deployment) {
			d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
		}), "/spec/template", 4, 4, "", "", ""},
		"one that is paused": {"Deployment", deployment(func(d *appsv1.Deployment) { d.Spec.Paused = true }), "", 0, 0, "paused", "paused", ""},
		"StatefulSet":        {"StatefulSet", statefulSet(nil), "/spec/template", 1, 1, "", "", ""},
		"one by hand":        {"StatefulSet", statefulSet(onDelete), "/spec/template", 0, 0, "OnDelete", "", "as somebody deletes them"},
		"DaemonSet":          {"DaemonSet", daemonSet(nil), "/spec/template", 1, 1, "", "", ""},
		"a third at a time": {"DaemonSet", daemonSet(func(d *appsv1.DaemonSet) {
			d.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateDaemonSet{MaxUnavailable: new(intstr.FromString("34%"))}
		}), "/spec/template", 2, 2, "", "", ""},
		"CronJob": {"CronJob", cronJob(), "/spec/jobTemplate/spec/template", 0, 0, "no rollout", "", "for the next run"},
		"Job":     {"Job", job(), "", 0, 0, "no rollout", "made by whoever makes the Job", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := kubetest.New()
			api.Put(c.workload)
			client := connect(t, api)
			resize, restart := &action.ResizeTemplate{OfWorkload: action.OfWorkload{Client: client}}, &action.RolloutRestart{OfWorkload: action.OfWorkload{Client: client}}

			s := subject(t, client, c.kind, 96)
			draft, err := restart.Plan(t.Context(), s)
			if c.restarts != "" {
				require.ErrorIs(t, err, action.ErrUnsupported)
				require.ErrorContains(t, err, c.restarts)
			} else {
				require.NoError(t, err)
				assert.Equal(t, []int32{c.disrupted, c.missing}, []int32{draft.Restarts, draft.RestartsReady})
				lives(t, restart, s, draft.First, c.note)
				require.ErrorIs(t, restart.Revert(t.Context(), s, draft.First), action.ErrIrreversible)
				assert.Len(t, api.Effects(), 1)
			}

			s = subject(t, client, c.kind, 96)
			s.Decision = "another"
			draft, err = resize.Plan(t.Context(), s)
			if c.resizes != "" {
				require.ErrorIs(t, err, action.ErrUnsupported)
				require.ErrorContains(t, err, c.resizes)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, []int32{c.disrupted, c.missing}, []int32{draft.Restarts, draft.RestartsReady})
			assert.EqualValues(t, 64*mi, draft.From.Limits.MemoryBytes)
			assert.EqualValues(t, 96*mi, draft.To.Limits.MemoryBytes)
			assert.JSONEq(t, `[{"op":"test","path":"`+c.path+`/spec/containers/0/resources/limits/memory","value":"64Mi"},
				{"op":"replace","path":"`+c.path+`/spec/containers/0/resources/limits/memory","value":"96Mi"}]`, draft.Diff)
			before := len(api.Effects())
			lives(t, resize, s, draft.First, c.note)
			assert.Len(t, api.Effects(), before+1)
			_, err = resize.Preconditions(t.Context(), s, action.Object{UID: "uid-x"})
			require.ErrorIs(t, err, action.ErrAlready)
			require.NoError(t, resize.Revert(t.Context(), s, draft.First))
			require.NoError(t, resize.Revert(t.Context(), s, draft.First), "once more has no effect")
			assert.Len(t, api.Effects(), before+2)
			size, ok := action.SizeOfTemplate(subject(t, client, c.kind, 0).Workload.Template, "app")
			require.True(t, ok)
			assert.EqualValues(t, 64*mi, size.Limits.MemoryBytes)
		})
	}
}

// lives takes an intent through its life: it is not there, it is written, it is
// found, it is in force; a second write of it is refused.
func lives(t *testing.T, a action.Action, s *action.Subject, intent *v1alpha1.Target, note string) {
	t.Helper()
	made, err := a.ReadBack(t.Context(), s, intent)
	require.NoError(t, err)
	assert.False(t, made)
	require.NoError(t, a.Apply(t.Context(), s, intent))
	made, err = a.ReadBack(t.Context(), s, intent)
	require.NoError(t, err)
	assert.True(t, made)
	require.ErrorIs(t, a.Apply(t.Context(), s, intent), action.ErrChanged)
	sight, err := a.Verify(t.Context(), s, intent)
	require.NoError(t, err)
	assert.Equal(t, action.Settled, sight.Stage, sight.Message)
	assert.True(t, sight.Ready)
	assert.Contains(t, sight.Message, note)
	assert.Equal(t, note == "", sight.Message == "")
}

// The patch that is shown is one that can be applied.
func TestTheDiffOfARestartIsAPatch(t *testing.T) {
	t.Parallel()
	api := kubetest.New()
	api.Put(deployment(nil))
	draft, err := (&action.RolloutRestart{OfWorkload: action.OfWorkload{Client: connect(t, api)}}).Plan(t.Context(), subject(t, connect(t, api), "Deployment", 0))
	require.NoError(t, err)
	var ops []struct{ Op, Path string }
	require.NoError(t, json.Unmarshal([]byte(draft.Diff), &ops))
	require.Len(t, ops, 2, draft.Diff)
	assert.Equal(t, "/spec/template/metadata/annotations", ops[0].Path)
	assert.Equal(t, "/spec/template/metadata/annotations/rightsizer.dev~1restarted-by", ops[1].Path)
}

// An init container's size counts for new pods as well.
func TestATemplatesInitContainer(t *testing.T) {
	t.Parallel()
	api := kubetest.New()
	api.Put(deployment(nil))
	client := connect(t, api)
	s := subject(t, client, "Deployment", 128)
	s.Container = "migrate"
	draft, err := (&action.ResizeTemplate{OfWorkload: action.OfWorkload{Client: client}}).Plan(t.Context(), s)
	require.NoError(t, err)
	assert.Contains(t, draft.Diff, "/spec/template/spec/initContainers/0/resources/limits/memory")
	require.NoError(t, (&action.ResizeTemplate{OfWorkload: action.OfWorkload{Client: client}}).Apply(t.Context(), s, draft.First))
	got := subject(t, client, "Deployment", 0).Workload.Template.Spec
	assert.Equal(t, "128Mi", got.InitContainers[0].Resources.Limits.Memory().String())
	assert.Equal(t, "64Mi", got.Containers[0].Resources.Limits.Memory().String())
}
