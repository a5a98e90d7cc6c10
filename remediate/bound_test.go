package remediate_test

import (
	"context"
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
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// A name is not used again after its decision was deleted: what was written then
// would be taken for what is to be written now.
func TestADecisionIsNotMistakenForOneThatWasDeleted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := quiet(t, 2)
		o := w.start("one", nil)
		defer o.stop()
		var before string
		for n := range int64(2) {
			_, err := o.ask(asked("rollout_restart", nil))
			require.NoError(t, err)
			r := w.settled()
			require.Equal(t, v1alpha1.StateSucceeded, r.Status.State, r.Status.Message)
			assert.Equal(t, 2+n, w.deployment().Generation, "it was rolled out")
			assert.NotEqual(t, before, r.Name)
			before = r.Name
			time.Sleep(8 * 24 * time.Hour)
			require.Empty(t, w.api.Remediations("shop"), "it is deleted after a week")
		}
	})
}

// What a workload needs is not given to the pods of another one that its selector
// chooses as well.
func TestPodsOfOthersAreLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		canary := w.deployment().DeepCopy()
		canary.Name, canary.UID, canary.ResourceVersion = "web-canary", "", ""
		canary.Spec.Template.Labels = map[string]string{"app": "web", "track": "canary"}
		w.api.PutDeployment(canary)
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(w.ended))
		o.events <- w.started()
		time.Sleep(time.Hour)
		assert.Equal(t, []int64{103, 103}, w.limits("web-0", "web-1"))
		assert.Equal(t, []int64{64, 64}, w.limits("web-canary-0", "web-canary-1"))
	})
}

// More memory is not taken back from what was killed for want of it since, whoever
// asked for it.
func TestMemoryThatIsNeededIsNotTakenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := quiet(t, 2)
		w.spec.Mode = v1alpha1.ModeRecommend
		o := w.start("one", nil)
		defer o.stop()
		wish := asked("resize_in_place", nil)
		wish.Container = "app"
		wish.Action.Limits = &rightsizerv1.Resources{MemoryBytes: 80 * mi}
		_, err := o.ask(wish)
		require.NoError(t, err)
		w.in(v1alpha1.StatePendingApproval)
		_, err = o.engine.Approve(t.Context(), another, remediate.Choice{Namespace: "shop", Name: w.only().Name})
		require.NoError(t, err)
		w.in(v1alpha1.StateVerifying)
		time.Sleep(3 * time.Second)
		w.api.ChangePod("shop", "web-0", func(pod *corev1.Pod) *corev1.Pod {
			s := &pod.Status.ContainerStatuses[0]
			s.RestartCount++
			s.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137}
			s.LastTerminationState.Terminated.FinishedAt.Time = time.Now()
			return pod
		})
		r := w.settled()
		assert.Equal(t, v1alpha1.StateEscalated, r.Status.State, r.Status.Message)
		assert.Equal(t, []int64{80}, w.limits("web-0"))
	})
}

// What is carried out is what was approved: where the same words would have another
// effect by now, nothing is.
func TestWhatWasApprovedIsWhatIsDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := unasked(t, 3, false)
		w.spec.Mode = v1alpha1.ModeApprove
		o := w.start("one", nil)
		_, err := o.ask(scaled(5))
		require.NoError(t, err)
		w.in(v1alpha1.StatePendingApproval)
		w.changed(func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(8)) })
		_, err = o.engine.Approve(context.Background(), another, remediate.Choice{Namespace: "shop", Name: w.only().Name})
		require.NoError(t, err)
		defer o.stop()
		r := w.settled()
		assert.Equal(t, v1alpha1.StateAborted, r.Status.State)
		assert.Contains(t, r.Status.Message, "would have another effect by now")
		assert.EqualValues(t, 8, *w.deployment().Spec.Replicas)
	})
}

// A sidecar that something injected is in the pod alone, in no template.
func TestAnInjectedSidecarIsCured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		resources := corev1.ResourceRequirements{Requests: memoryOf("32Mi"), Limits: memoryOf("64Mi")}
		w.api.Meanwhile("shop", "web-0", func(p *corev1.Pod) *corev1.Pod {
			p.Spec.InitContainers = []corev1.Container{{Name: "proxy", RestartPolicy: new(corev1.ContainerRestartPolicyAlways), Resources: resources}}
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "proxy", Ready: true, Resources: &resources}}
			return p
		})
		w.problems[0].Container = "proxy"
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(w.ended))
		assert.Equal(t, v1alpha1.StateSucceeded, w.only().Status.State, w.only().Status.Message)
		pod := w.api.Pod("shop", "web-0")
		assert.EqualValues(t, 103*mi, pod.Spec.InitContainers[0].Resources.Limits.Memory().Value())
		require.Len(t, pod.Spec.Containers, 1)
		assert.Equal(t, []int64{64}, w.limits("web-0"))
		w.kept()
	})
}

// Who asks for the resize of a Guaranteed pod is told beforehand what no dry run
// shows: nodes with static managers refuse it.
func TestTheResizeOfAGuaranteedPodIsToldOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := quiet(t, 1)
		o := w.start("one", nil)
		defer o.stop()
		wish := asked("resize_in_place", nil)
		wish.Container, wish.Only = "app", true
		wish.Action.Limits = &rightsizerv1.Resources{MemoryBytes: 80 * mi}
		told, err := o.ask(wish)
		require.NoError(t, err)
		assert.NotContains(t, told.GetMessage(), "static CPU or memory manager")

		all := corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi"), corev1.ResourceCPU: resource.MustParse("1")}
		w.api.ChangePod("shop", "web-0", func(p *corev1.Pod) *corev1.Pod {
			p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: all, Limits: all}
			return p
		})
		wish.Action.Requests = &rightsizerv1.Resources{MemoryBytes: 80 * mi}
		told, err = o.ask(wish)
		require.NoError(t, err)
		assert.Contains(t, told.GetMessage(), "static CPU or memory manager")
	})
}
