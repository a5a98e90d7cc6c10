package watcher_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"buf.build/go/protovalidate"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/correlate"
)

func (r *recorder) PublishIncident(in *rightsizerv1.Incident) {
	assert.NoError(r.t, protovalidate.Validate(in))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.incidents = append(r.incidents, in)
}

// takeIncidents returns the incidents that were published since the last call.
func (r *recorder) takeIncidents() []*rightsizerv1.Incident {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.incidents
	r.incidents = nil
	return out
}

func TestEventsBecomeIncidents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		r := start(t, shop(web("web-a")), func(o *watcher.Options) { o.Registerer = registry })
		defer r.stop()
		assert.Empty(t, r.Incidents())

		time.Sleep(3 * time.Second)
		pod := end(web("web-a"), "OOMKilled", 137, 3*time.Second)
		r.server.Put(pod)
		synctest.Wait()
		told := r.out.takeIncidents()
		require.NotEmpty(t, told)
		first := told[0]
		assert.Equal(t, rightsizerv1.IncidentState_INCIDENT_STATE_OPEN, first.GetState())
		assert.Equal(t, r.ClusterID(), first.GetCluster())
		require.Len(t, r.Incidents(), 1)

		// Killed again and again: one incident, a storm by now.
		for range 3 {
			pod = restart(pod)
			r.server.Put(pod)
			time.Sleep(10 * time.Second)
			pod = end(pod, "OOMKilled", 137, 10*time.Second)
			r.server.Put(pod)
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		require.Len(t, r.Incidents(), 1)
		now := r.Incidents()[0]
		assert.Equal(t, first.GetId(), now.GetId())
		assert.Equal(t, "oom_storm", now.GetRule())
		assert.Greater(t, int(now.GetMemberCount()), 4)
		assert.Equal(t, first.GetRootProblemId(), now.GetRootProblemId())
		told = r.out.takeIncidents()
		assert.Equal(t, now, told[len(told)-1], "what is listed was told")

		// It runs at last; the end comes by the clock.
		pod = restart(pod)
		r.server.Put(pod)
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		told = r.out.takeIncidents()
		require.NotEmpty(t, told)
		assert.Equal(t, rightsizerv1.IncidentState_INCIDENT_STATE_RESOLVED, told[len(told)-1].GetState())
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, r.component("incidents").GetState())
		families, err := registry.Gather()
		require.NoError(t, err)
		series := 0
		for _, f := range families {
			if strings.HasPrefix(f.GetName(), "rightsizer_incidents") {
				series += len(f.GetMetric())
			}
		}
		assert.Equal(t, 7, series)

		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Empty(t, r.Incidents())
	})
}

// A budget that blocks is put down to what its workload suffers from, also where it
// is found at start.
func TestABudgetJoinsItsWorkload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := webDeployment()
		d.Spec.Template.Labels = map[string]string{"app": "web", "tier": "front"}
		d.Status.AvailableReplicas = 0
		d.Status.Conditions = []appsv1.DeploymentCondition{{
			Type: appsv1.DeploymentAvailable, Status: corev1.ConditionFalse, LastTransitionTime: metav1.NewTime(time.Now().Add(-time.Hour)),
		}}
		server := shop()
		server.Put(d, &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "front", UID: "uid-pdb"},
			Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "front"}}},
			Status: policyv1.PodDisruptionBudgetStatus{
				ExpectedPods: 2, DesiredHealthy: 1,
				Conditions: []metav1.Condition{{
					Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse, LastTransitionTime: metav1.NewTime(time.Now().Add(-time.Hour)),
				}},
			},
		})
		r := start(t, server)
		defer r.stop()
		found := r.Incidents()
		require.Len(t, found, 1)
		var types []string
		for _, m := range found[0].GetMembers() {
			types = append(types, m.GetType())
			assert.Equal(t, "web", m.GetWorkload().GetName())
		}
		assert.ElementsMatch(t, []string{"deployment.unavailable", "pdb.blocking"}, types)
		assert.Equal(t, "deployment.unavailable", found[0].GetMembers()[0].GetType())
	})
}

// A node is deleted: the pod garbage collector takes its pods off, and what their
// workloads lack is put down to the node.
func TestWhatANodeThatIsDeletedTakesAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "node-1", UID: "uid-node-1"},
			Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
		}
		pod := web("web-a")
		server := shop(pod)
		server.Put(node)
		r := start(t, server)
		defer r.stop()
		server.Delete(node)
		time.Sleep(time.Minute)

		pod = pod.DeepCopy()
		pod.Status.Phase = corev1.PodFailed
		pod.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "DeletionByPodGC", Message: "PodGC: node no longer exists",
			LastTransitionTime: metav1.Now(),
		}}
		server.Put(pod)
		server.Delete(pod)
		d := webDeployment()
		d.Status.AvailableReplicas = 1
		d.ManagedFields = statusWritten()
		server.Put(d)
		time.Sleep(3 * time.Minute)
		synctest.Wait()

		found := r.Incidents()
		require.Len(t, found, 1)
		assert.Equal(t, "node_down", found[0].GetRule())
		var types []string
		for _, m := range found[0].GetMembers() {
			types = append(types, m.GetType())
		}
		assert.ElementsMatch(t, []string{"node.removed", "pod.evicted", "deployment.unavailable"}, types)
	})
}

func TestIncidentsWithoutRoomAreToldInHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop(end(web("web-a"), "OOMKilled", 137, time.Second))
		bare := end(web("bare"), "OOMKilled", 137, time.Second)
		bare.OwnerReferences = nil
		server.Put(bare)
		r := start(t, server, func(o *watcher.Options) { o.Incidents = correlate.Options{MaxIncidents: 1} })
		defer r.stop()
		require.Len(t, r.Incidents(), 1)
		assert.Equal(t, "1 incidents wait for room in the list, see MaxIncidents", r.component("incidents").GetReason())
	})
}

// Health tells the want of room for problems while it lasts.
func TestProblemsWithoutRoomAreToldInHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop()
		for i := range 20 {
			server.Put(end(web("web-"+itoa(i)), "OOMKilled", 137, time.Second))
		}
		r := start(t, server, func(o *watcher.Options) { o.Incidents = correlate.Options{MaxProblems: 16} })
		defer r.stop()
		line := r.component("incidents")
		assert.Equal(t, healthDegraded, line.GetState())
		assert.Contains(t, line.GetReason(), "there was no room for their problems")
		for i := range 20 {
			server.Delete(web("web-" + itoa(i)))
		}
		time.Sleep(2 * time.Hour) // They are over, and kept for an hour.
		synctest.Wait()
		assert.Equal(t, healthOK, r.component("incidents").GetState())
	})
}

func TestIncidentOptionsAreChecked(t *testing.T) {
	_, err := watcher.New(watcher.Options{
		Config: shop().Config(), Publisher: &recorder{t: t}, Incidents: correlate.Options{Linger: time.Nanosecond},
	})
	require.ErrorContains(t, err, "Incidents: Linger is 1ns, must be 1s to 24h")
}
