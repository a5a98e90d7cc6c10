package remediate_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Six workloads that each need more than the first raise gives get it by themselves:
// that they are killed once more is no reason to ask a person about all of the cluster.
func TestManyThatNeedASecondRaiseGetIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.problems = nil
		w.spec.Cooldowns.Raise = v1alpha1.Of(time.Second)
		w.spec.Budgets.Namespace.Actions = 100
		o := w.start("one", nil)
		defer o.stop()
		var pods []string
		for n := range 6 {
			d := w.deployment().DeepCopy()
			d.ObjectMeta = appsv1.Deployment{}.ObjectMeta
			d.Namespace, d.Name = "shop", fmt.Sprintf("h%d", n)
			labels := map[string]string{"app": d.Name}
			d.Spec.Selector.MatchLabels, d.Spec.Template.Labels = labels, labels
			w.api.PutDeployment(d)
			pods = append(pods, d.Name+"-0")
		}
		time.Sleep(time.Minute) // warmed up
		for _, limit := range []int64{64, 103} {
			for n, pod := range pods {
				kill := w.kill(pod, limit)
				kill.Workload = &rightsizerv1.WorkloadRef{Kind: "Deployment", Name: fmt.Sprintf("h%d", n)}
				o.events <- kill
			}
			time.Sleep(5 * time.Second)
		}
		require.True(t, until(w.ended), w.story())
		assert.Equal(t, []int64{206, 206, 206, 206, 206, 206}, w.limits(pods...), w.story())
		w.kept()
	})
}
