package e2e_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/rightsizer/rightsizer/deploy/devcluster"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/streamtest"
)

const poll = 50 * time.Millisecond

// What the API says of the cluster is what the cluster says of itself.
func TestTheClusterIsDescribedAsItIs(t *testing.T) {
	const namespace = "as-it-is"
	o := serve(t, cluster.KubeconfigPath(), "--environment=test").ready()
	require.NoError(t, cluster.Apply(t.Context(), "over-provisioned", namespace))
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)

	got, err := o.clusterClient().GetCluster(t.Context(), &rightsizerv1.GetClusterRequest{})
	require.NoError(t, err)
	c := got.GetCluster()
	version, err := client.Discovery().ServerVersion()
	require.NoError(t, err)
	assert.Equal(t, version.GitVersion, c.GetVersion())
	assert.Equal(t, "e2e", c.GetName())
	assert.Equal(t, "test", c.GetEnvironment())
	nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.EqualValues(t, len(nodes.Items), c.GetNodes())
	var cpu int64
	for i := range nodes.Items {
		cpu += nodes.Items[i].Status.Allocatable.Cpu().MilliValue()
	}
	assert.Equal(t, cpu, c.GetCapacity().GetCpuMillis())
	assert.NotEmpty(t, c.GetProvider())

	listed, err := o.clusterClient().ListNodes(t.Context(), &rightsizerv1.ListNodesRequest{PageSize: 2})
	require.NoError(t, err)
	assert.Len(t, listed.GetNodes(), 2)
	assert.EqualValues(t, len(nodes.Items), listed.GetTotalSize())
	rest, err := o.clusterClient().ListNodes(t.Context(), &rightsizerv1.ListNodesRequest{PageSize: 2, PageToken: listed.GetNextPageToken()})
	require.NoError(t, err)
	assert.Len(t, rest.GetNodes(), len(nodes.Items)-2)

	deployments, err := client.AppsV1().Deployments(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.NotEmpty(t, deployments.Items)
	d := deployments.Items[0]
	require.Eventually(t, func() bool {
		w, err := o.workloadClient().GetWorkload(t.Context(), &rightsizerv1.GetWorkloadRequest{Namespace: namespace, Kind: "Deployment", Name: d.Name})
		return err == nil && w.GetWorkload().GetReadyReplicas() == *d.Spec.Replicas && len(w.GetPods()) == int(*d.Spec.Replicas)
	}, patience, poll)
	list, err := o.workloadClient().ListWorkloads(t.Context(), &rightsizerv1.ListWorkloadsRequest{Namespaces: []string{namespace}, Kinds: []string{"Deployment"}})
	require.NoError(t, err)
	assert.Len(t, list.GetWorkloads(), len(deployments.Items))
	want := d.Spec.Template.Spec.Containers[0]
	for _, w := range list.GetWorkloads() {
		if w.GetRef().GetName() == d.Name {
			require.NotEmpty(t, w.GetContainers())
			assert.Equal(t, want.Resources.Requests.Memory().Value(), w.GetContainers()[0].GetRequests().GetMemoryBytes())
			assert.Equal(t, want.Image, w.GetContainers()[0].GetImage())
		}
	}
	_, err = o.workloadClient().GetWorkload(t.Context(), &rightsizerv1.GetWorkloadRequest{Namespace: namespace, Kind: "Deployment", Name: "no-such"})
	assert.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
}

// A crash loop is seen in both forms in which back-off shows.
func TestCrashLoopsAreSeenHoweverBackOffShows(t *testing.T) {
	const namespace = "loops"
	o := serve(t, cluster.KubeconfigPath()).ready()
	require.NoError(t, cluster.Apply(t.Context(), "crash-loop", namespace))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := streamtest.Clients(o.url, nil)[0].Open(ctx, &rightsizerv1.EventFilter{EventTypes: []string{"pod.crash_loop"}, Namespaces: []string{namespace}}, "")
	require.NoError(t, err)
	waiting := map[string]bool{"payments": true, "ledger": true}
	for len(waiting) > 0 {
		ev := firstEvent(t, s)
		assert.Positive(t, ev.GetCrashLoop().GetRestartCount())
		delete(waiting, ev.GetWorkload().GetName())
	}
}

// OOM kills of init containers, native sidecars and Jobs are seen as well.
func TestOOMsAreSeenInEveryKindOfContainer(t *testing.T) {
	o := serve(t, cluster.KubeconfigPath()).ready()
	for scenario, kind := range map[string]rightsizerv1.ContainerKind{
		"init-oom":    rightsizerv1.ContainerKind_CONTAINER_KIND_INIT,
		"sidecar-oom": rightsizerv1.ContainerKind_CONTAINER_KIND_SIDECAR,
		"job-oom":     rightsizerv1.ContainerKind_CONTAINER_KIND_APP,
	} {
		namespace := "kinds-" + scenario
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		s, err := streamtest.Clients(o.url, nil)[0].Open(ctx, &rightsizerv1.EventFilter{EventTypes: []string{oomKilled}, Namespaces: []string{namespace}}, "")
		require.NoError(t, err)
		require.NoError(t, cluster.Apply(ctx, scenario, namespace))
		ev := firstEvent(t, s)
		assert.Equal(t, kind, ev.GetOomKilled().GetContainerKind(), scenario)
		if scenario == "job-oom" {
			assert.Equal(t, "Job", ev.GetWorkload().GetKind())
		}
		cancel()
	}
}

// A restarted operator finds what is still visible, under the same ids.
func TestARestartRepeatsTheIdsOfWhatIsStillVisible(t *testing.T) {
	const namespace = "found"
	o := serve(t, cluster.KubeconfigPath()).ready()
	require.NoError(t, cluster.Apply(t.Context(), "job-oom", namespace)) // its pods stay as they ended
	filter := &rightsizerv1.EventFilter{EventTypes: []string{oomKilled}, Namespaces: []string{namespace}}
	kills := func(o *operator) map[string]*rightsizerv1.Event {
		resp, err := o.eventClient().ListEvents(t.Context(), &rightsizerv1.ListEventsRequest{Filter: filter, PageSize: 1000})
		require.NoError(t, err)
		byID := map[string]*rightsizerv1.Event{}
		for _, ev := range resp.GetEvents() {
			assert.NotContains(t, byID, ev.GetId(), "an id twice in one life")
			byID[ev.GetId()] = ev
		}
		return byID
	}
	require.Eventually(t, func() bool { return len(kills(o)) == 3 }, patience, poll, "a back-off limit of 2 makes 3 pods")
	before := kills(o)
	for id, ev := range before {
		assert.False(t, ev.GetFoundAtStart(), id)
	}
	o.kill()

	o = serve(t, cluster.KubeconfigPath()).ready()
	require.Eventually(t, func() bool { return len(kills(o)) == 3 }, patience, poll)
	for id, ev := range kills(o) {
		assert.True(t, ev.GetFoundAtStart(), id)
		if assert.Contains(t, before, id) {
			assert.Equal(t, before[id].GetProblemId(), ev.GetProblemId())
			assert.Equal(t, before[id].GetOccurredTime().AsTime(), ev.GetOccurredTime().AsTime())
		}
	}
}

// Open streams are ended properly, and soon.
func TestShutdownEndsStreamsProperly(t *testing.T) {
	o := serve(t, cluster.KubeconfigPath()).ready()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	clients := streamtest.Clients(o.url, nil)
	type end struct {
		client string
		last   *rightsizerv1.StreamEventsResponse
	}
	ends := make(chan end, len(clients))
	for _, c := range clients {
		s, err := c.Open(ctx, nil, "")
		require.NoError(t, err)
		first, err := s.Next()
		require.NoError(t, err)
		require.NotNil(t, first.GetOpened())
		for synced := false; !synced; { // a snapshot that is cut off has no position
			msg, err := s.Next()
			require.NoError(t, err)
			synced = msg.GetSynced() != nil
		}
		go func() {
			e := end{client: c.Name()}
			for {
				msg, err := s.Next()
				if err != nil {
					ends <- e
					return
				}
				e.last = msg
			}
		}()
	}
	assert.Less(t, o.stop(), 20*time.Second)
	for range clients {
		e := <-ends
		assert.Equal(t, "Shutdown", e.last.GetClosing().GetReason(), e.client)
		assert.NotEmpty(t, e.last.GetClosing().GetPosition(), e.client)
	}
	assert.NoError(t, o.err, "an orderly end is exit code 0")
}

// Before the API server is there, the operator serves and says what it waits for;
// when it goes, that is said at once, streams stay open, and what could not be
// seen is marked.
func TestTheAPIServerComesLateAndGoes(t *testing.T) {
	own, err := devcluster.Prepare(devcluster.Options{Nodes: 1})
	require.NoError(t, err)
	defer own.Stop() //nolint:errcheck // only its end matters
	o := serve(t, own.KubeconfigPath())
	state := func() (rightsizerv1.HealthState, string) {
		resp, err := o.clusterClient().GetHealth(t.Context(), &rightsizerv1.GetHealthRequest{})
		if err != nil {
			return 0, err.Error()
		}
		for _, c := range resp.GetComponents() {
			if c.GetComponent() == "kubernetes" {
				return c.GetState(), c.GetReason()
			}
		}
		return 0, ""
	}
	if !assert.Eventually(t, func() bool {
		s, reason := state()
		return s == rightsizerv1.HealthState_HEALTH_STATE_STARTING && strings.Contains(reason, "devcluster")
	}, patience, poll) {
		s, reason := state()
		require.Failf(t, "the API server's own words, before it is one", "it says %v: %s", s, reason)
	}
	assert.Equal(t, http.StatusOK, o.status(o.metrics+"/healthz"))
	assert.Equal(t, http.StatusServiceUnavailable, o.status(o.metrics+"/readyz"))
	_, err = o.clusterClient().GetCluster(t.Context(), &rightsizerv1.GetClusterRequest{})
	assert.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))

	require.NoError(t, own.Launch(t.Context()))
	o.ready()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := streamtest.Clients(o.url, nil)[0].Open(ctx, nil, "")
	require.NoError(t, err)

	require.NoError(t, own.Kill(devcluster.APIServer))
	require.Eventually(t, func() bool {
		s, _ := state()
		return s == rightsizerv1.HealthState_HEALTH_STATE_DOWN || s == rightsizerv1.HealthState_HEALTH_STATE_DEGRADED
	}, patience, poll, "health says it at once")
	require.NoError(t, own.Restart(ctx, devcluster.APIServer))
	require.Eventually(t, func() bool {
		s, _ := state()
		return s == rightsizerv1.HealthState_HEALTH_STATE_OK
	}, patience, poll)
	// The stream is the same one, and new events flow on it.
	require.NoError(t, own.Apply(ctx, "oom", "after"))
	for ev := firstEvent(t, s); ev.GetNamespace() != "after"; {
		ev = firstEvent(t, s)
	}
}
