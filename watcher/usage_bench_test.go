package watcher

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/rightsizer/rightsizer/watcher/meter"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// measuredCluster has pods of two containers, three to a workload, and their
// samples of one round.
func measuredCluster(tb testing.TB, pods int) (*Watcher, *clocktesting.FakeClock, []meter.Sample) {
	tb.Helper()
	clock := clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0))
	w, err := New(Options{
		Config: &rest.Config{Host: "http://unused"}, Publisher: &discard{}, ClusterID: "c", Clock: clock,
		Usage: UsageOptions{Sources: []string{SourceMetricsAPI}},
	})
	require.NoError(tb, err)
	h := w.watches[len(w.watches)-2]
	f := &feed{w: w, res: h.resource, health: h, sink: podSink{w}}
	yes := true
	samples := make([]meter.Sample, 0, 2*pods)
	for i := range pods {
		pod := benchPod(i, "")
		rs := fmt.Sprintf("service-%d-5d4f", i/3)
		pod.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: rs, UID: types.UID(fmt.Sprintf("rs-%d", i/3)), Controller: &yes}}
		w.store.PutController(&object.Controller{
			Kind: "ReplicaSet", UID: fmt.Sprintf("rs-%d", i/3), Key: object.Key{Namespace: pod.Namespace, Name: rs},
		})
		proxy := pod.Spec.Containers[0]
		proxy.Name = "proxy"
		pod.Spec.Containers = append(pod.Spec.Containers, proxy)
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{
			{Name: "app", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}},
			{Name: "proxy", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}},
		}
		require.NoError(tb, f.Update(pod))
		for _, container := range []string{"app", "proxy"} {
			samples = append(samples, meter.Sample{
				Namespace: pod.Namespace, Pod: pod.Name, Container: container, Has: meter.CPU | meter.Memory,
				CPUMillis: float64(i % 300), MemoryBytes: float64(i%100) * (1 << 20),
			})
		}
	}
	return w, clock, samples
}

func round(w *Watcher, clock *clocktesting.FakeClock, samples []meter.Sample) {
	clock.Step(30 * time.Second)
	for i := range samples {
		samples[i].Time = clock.Now()
	}
	w.takeSamples(w.usage.sources[0], samples)
}

// What is kept of usage for 10,000 pods of two containers stays within 18 MiB: the
// budgets of history and sketches, and what is known of now.
func TestMemoryOfUsage(t *testing.T) {
	w, clock, samples := measuredCluster(t, 10_000)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 5 {
		round(w, clock, samples)
		round(w, clock, samples)
		w.recordMinute()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	book, past := w.usage.book.Stats(), w.usage.history.Stats()
	// As if the history had come to its bound, which takes hours.
	grown := float64(int64(after.HeapAlloc-before.HeapAlloc)-past.Bytes+w.opts.Usage.HistoryBytes) / (1 << 20)
	t.Logf("%.1f MiB: sketches %.1f of %d containers, history %.1f of %d series reaching %s, the rest is of now",
		grown, float64(book.Bytes)/(1<<20), book.Entries, float64(past.Bytes)/(1<<20), past.Series, past.Reach)
	assert.Less(t, grown, 18.0)
	assert.Equal(t, 6668, book.Entries)
	assert.Zero(t, past.Refused)
	runtime.KeepAlive(samples)
}

func BenchmarkUsage10k(b *testing.B) {
	w, clock, samples := measuredCluster(b, 10_000)
	b.Run("round of 20,000 samples", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			round(w, clock, samples)
		}
	})
	b.Run("minute recorded", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			clock.Step(time.Minute)
			w.recordMinute()
		}
	})
	round(w, clock, samples)
	b.Run("recommendations", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w.Recommendations(nil)
		}
	})
	kind, name := "ReplicaSet", "service-7-5d4f" // what an OOM kill makes a repair ask for
	if pod := w.store.Pod(object.Key{Namespace: samples[42].Namespace, Name: samples[42].Pod}); pod != nil {
		key := w.store.Workload(pod)
		kind, name = key.Kind, key.Name
	}
	b.Run("one recommendation", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w.Recommendation(samples[42].Namespace, kind, name, "app")
		}
	})
	b.Run("what is measured of one container", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w.Measured(samples[42].Namespace, kind, name, "app")
		}
	})
	b.Run("workloads with use", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w.Workloads()
		}
	})
}
