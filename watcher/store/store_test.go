package store_test

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/rightsizer/rightsizer/watcher/convert"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/store"
)

func key(ns, kind, name string) object.WorkloadKey {
	return object.WorkloadKey{Namespace: ns, Kind: kind, Name: name}
}

func TestOwners(t *testing.T) {
	pod := func(owner *object.Owner, hash string) *object.Pod {
		return &object.Pod{Key: object.Key{Namespace: "ns", Name: "p"}, UID: "u", Owner: owner, TemplateHash: hash}
	}
	s := store.New()
	put := func(kind, name, uid string, parent *object.Owner) {
		s.PutController(&object.Controller{Key: object.Key{Namespace: "ns", Name: name}, Kind: kind, UID: uid, Parent: parent})
	}
	put("ReplicaSet", "web-5d4f", "rs", &object.Owner{Kind: "Deployment", Name: "web", UID: "d"})
	put("ReplicaSet", "bare-rs", "rs2", nil)
	put("Job", "nightly-291", "j", &object.Owner{Kind: "CronJob", Name: "nightly", UID: "cj"})
	put("ReplicaSet", "roll-77", "rs3", &object.Owner{Kind: "Rollout", Name: "roll", UID: "ro"})
	put("ReplicaSet", "loop", "l1", &object.Owner{Kind: "ReplicaSet", Name: "loop2", UID: "l2"})
	put("ReplicaSet", "loop2", "l2", &object.Owner{Kind: "ReplicaSet", Name: "loop", UID: "l1"})
	tests := map[string]struct {
		pod  *object.Pod
		want object.WorkloadKey
	}{
		"a bare pod is its own":               {pod(nil, ""), key("ns", "Pod", "p")},
		"through the ReplicaSet":              {pod(&object.Owner{Kind: "ReplicaSet", Name: "web-5d4f", UID: "rs"}, "5d4f"), key("ns", "Deployment", "web")},
		"an unknown ReplicaSet, by its name":  {pod(&object.Owner{Kind: "ReplicaSet", Name: "api-77c9", UID: "x"}, "77c9"), key("ns", "Deployment", "api")},
		"an unknown one without a hash":       {pod(&object.Owner{Kind: "ReplicaSet", Name: "odd", UID: "x"}, ""), key("ns", "ReplicaSet", "odd")},
		"a ReplicaSet of its own":             {pod(&object.Owner{Kind: "ReplicaSet", Name: "bare-rs", UID: "rs2"}, ""), key("ns", "ReplicaSet", "bare-rs")},
		"through the Job":                     {pod(&object.Owner{Kind: "Job", Name: "nightly-291", UID: "j"}, ""), key("ns", "CronJob", "nightly")},
		"a Job that is not known":             {pod(&object.Owner{Kind: "Job", Name: "once", UID: "x"}, ""), key("ns", "Job", "once")},
		"a custom controller above":           {pod(&object.Owner{Kind: "ReplicaSet", Name: "roll-77", UID: "rs3"}, ""), key("ns", "Rollout", "roll")},
		"a custom controller that owns pods":  {pod(&object.Owner{Kind: "Kafka", Name: "k", UID: "x"}, ""), key("ns", "Kafka", "k")},
		"references in a circle come to rest": {pod(&object.Owner{Kind: "ReplicaSet", Name: "loop", UID: "l1"}, ""), key("ns", "ReplicaSet", "loop2")},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.want, s.Workload(tt.pod))
		})
	}
}

// A pod keeps its workload when its controller goes before it.
func TestAControllerIsKeptAsLongAsItsPods(t *testing.T) {
	s := store.New()
	s.PutController(&object.Controller{
		Key: object.Key{Namespace: "ns", Name: "j-1"}, Kind: "Job", UID: "j",
		Parent: &object.Owner{Kind: "CronJob", Name: "j", UID: "cj"},
	})
	pod := &object.Pod{
		Key: object.Key{Namespace: "ns", Name: "p"}, UID: "u", Ready: true,
		Owner: &object.Owner{Kind: "Job", Name: "j-1", UID: "j"},
	}
	s.PutPod(pod)
	s.DeleteController("j")
	assert.Equal(t, key("ns", "CronJob", "j"), s.Workload(pod))
	changed := *pod
	changed.Ready = false
	s.PutPod(&changed)
	assert.Equal(t, key("ns", "CronJob", "j"), s.Workload(pod))
	_, ready := s.WorkloadReady(pod)
	assert.Zero(t, ready)
	s.DeletePod(pod.Key)
	assert.Equal(t, key("ns", "Job", "j-1"), s.Workload(pod), "and no longer")
}

func TestReadyPodsAreThoseOfAllRevisions(t *testing.T) {
	s := store.New()
	for i := range 3 {
		rs := fmt.Sprintf("rs-%d", i)
		s.PutController(&object.Controller{
			Key: object.Key{Namespace: "ns", Name: rs}, Kind: "ReplicaSet", UID: rs,
			Parent: &object.Owner{Kind: "Deployment", Name: "web", UID: "d"},
		})
		s.PutPod(&object.Pod{
			Key: object.Key{Namespace: "ns", Name: rs + "-p"}, UID: rs + "-p", Ready: i > 0,
			Owner: &object.Owner{Kind: "ReplicaSet", Name: rs, UID: rs},
		})
	}
	k, ready := s.WorkloadReady(s.Pod(object.Key{Namespace: "ns", Name: "rs-0-p"}))
	assert.Equal(t, key("ns", "Deployment", "web"), k)
	assert.Equal(t, 2, ready)
}

func TestProvider(t *testing.T) {
	provider := func(ids ...string) string {
		s := store.New()
		for i, id := range ids {
			s.PutNode(&object.Node{Name: strconv.Itoa(i), ProviderID: id})
		}
		return s.Cluster().GetProvider()
	}
	assert.Equal(t, "gcp", provider("gce://p/z/i", "", "gce://p/z/j"))
	assert.Equal(t, "kind", provider("kind://docker/kind/kind-worker"))
	assert.Equal(t, "mixed", provider("aws:///a/i", "azure:///x"))
	assert.Empty(t, provider("", "nonsense"))
}

// realPod has what the pods of a real cluster have, managedFields aside.
func realPod(i int) *corev1.Pod {
	yes := true
	workload := i / 3
	name := fmt.Sprintf("service-%05d-6c5d8f9b7d-x%04d", workload, i)
	limits := corev1.ResourceList{"cpu": resource.MustParse("500m"), "memory": resource.MustParse("256Mi")}
	container := func(name string) corev1.Container {
		return corev1.Container{
			Name: name, Image: fmt.Sprintf("registry.example.com/team/service-%05d/%s:1.2.3", workload, name),
			Resources: corev1.ResourceRequirements{Requests: limits, Limits: limits},
		}
	}
	status := func(name string) corev1.ContainerStatus {
		return corev1.ContainerStatus{
			Name: name, Ready: true, ContainerID: fmt.Sprintf("containerd://%064d", i),
			Resources: &corev1.ResourceRequirements{Requests: limits, Limits: limits}, AllocatedResources: limits,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Unix(1_800_000_000, 0)}},
		}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: fmt.Sprintf("team-%02d", workload%50), Name: name,
			UID:               types.UID(fmt.Sprintf("0b6f6a86-1d0a-4b43-9d63-%012d", i)),
			CreationTimestamp: metav1.Unix(1_800_000_000, 0),
			Labels: map[string]string{
				"app": fmt.Sprintf("service-%05d", workload), "pod-template-hash": "6c5d8f9b7d",
				"app.kubernetes.io/name": fmt.Sprintf("service-%05d", workload),
			},
			OwnerReferences: []metav1.OwnerReference{{
				Kind: "ReplicaSet", Name: fmt.Sprintf("service-%05d-6c5d8f9b7d", workload),
				UID: types.UID(fmt.Sprintf("7c1e6a86-1d0a-4b43-9d63-%012d", workload)), Controller: &yes,
			}},
		},
		Spec: corev1.PodSpec{NodeName: fmt.Sprintf("ip-10-0-%d.eu-west-1.compute.internal", i%100), Containers: []corev1.Container{container("app"), container("proxy")}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, QOSClass: corev1.PodQOSGuaranteed,
			Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{status("app"), status("proxy")},
		},
	}
}

// fill stores n pods of n/3 Deployments.
func fill(tb testing.TB, n int) *store.Store {
	tb.Helper()
	s, c := store.New(), convert.New()
	for i := range n {
		pod, err := c.Pod(realPod(i))
		require.NoError(tb, err)
		if i%3 == 0 {
			s.PutController(&object.Controller{
				Key: object.Key{Namespace: pod.Namespace, Name: pod.Owner.Name}, Kind: "ReplicaSet", UID: pod.Owner.UID,
				Parent: &object.Owner{Kind: "Deployment", Name: fmt.Sprintf("service-%05d", i/3), UID: fmt.Sprintf("d-%d", i/3)},
			})
			s.PutController(&object.Controller{
				Key: object.Key{Namespace: pod.Namespace, Name: fmt.Sprintf("service-%05d", i/3)}, Kind: "Deployment",
				UID: fmt.Sprintf("d-%d", i/3), Desired: 3,
			})
		}
		s.PutPod(pod)
	}
	return s
}

// A pod of two containers stays within 1.5 KiB, its share of the controllers
// and of the tables of strings included.
func TestMemoryPerPod(t *testing.T) {
	const pods = 10_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := fill(t, pods)
	runtime.GC()
	runtime.ReadMemStats(&after)
	perPod := float64(after.HeapAlloc-before.HeapAlloc) / pods
	t.Logf("%.0f bytes per pod, controllers included", perPod)
	assert.Less(t, perPod, 1536.0)
	runtime.KeepAlive(s)
}

func BenchmarkConvert(b *testing.B) {
	c, pod := convert.New(), realPod(1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Pod(pod); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWorkloads10k(b *testing.B) {
	s := fill(b, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		s.Workloads(nil)
	}
}
