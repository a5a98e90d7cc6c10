package correlate_test

import (
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/correlate"
)

// An event of a workload that nothing else goes on with, while 1,000 others have
// open incidents: it opens its own and its message is made.
func BenchmarkObserveJoinsNothing(b *testing.B) {
	const batch = 1000
	var busy, events []*rightsizerv1.Event
	for n := range batch {
		busy = append(busy, pod(0, opened, "pod.crash_loop", "busy"+strconv.Itoa(n), "a", on("n"+strconv.Itoa(n%100))))
		events = append(events, pod(0, point, "pod.oom_killed", "app"+strconv.Itoa(n), "a", on("n"+strconv.Itoa(n%100))))
	}
	b.ReportAllocs()
	var c *cluster
	var spent time.Duration
	for n := range b.N {
		if n%batch == 0 {
			b.StopTimer()
			c = correlator(b, correlate.Options{MaxIncidents: 4096})
			for _, e := range busy {
				c.Observe(e, start)
			}
			runtime.GC()
			spent -= cpu(b)
			b.StartTimer()
		}
		c.Observe(events[n%batch], start)
		if n%batch == batch-1 || n == b.N-1 {
			spent += cpu(b)
		}
	}
	b.ReportMetric(float64(spent)/float64(b.N), "cpu-ns/op")
}

// cpu is the time that the process has had on a processor: on a shared machine
// the time on the wall says little.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage // Linux, as is all that the project runs on
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// What neither explains anything nor is a problem.
func BenchmarkObserveOfNoConcern(b *testing.B) {
	c := correlator(b, correlate.Options{})
	e := pod(0, point, "pod.started", "web", "a", as(info))
	b.ReportAllocs()
	for b.Loop() {
		c.Observe(e, start)
	}
}

// A crash loop that goes on, in an incident of its own.
func BenchmarkObserveUpdate(b *testing.B) {
	c := correlator(b, correlate.Options{})
	c.see(pod(0, opened, "pod.crash_loop", "web", "a"))
	events := []*rightsizerv1.Event{
		pod(0, updated, "pod.crash_loop", "web", "a", saying("", "1")), pod(0, updated, "pod.crash_loop", "web", "a", saying("", "2")),
	}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		c.Observe(events[n&1], start)
		n++
	}
}

// A storm of 1,000 OOM kills and crash loops in one workload, per event.
func BenchmarkObserveStorm(b *testing.B) {
	events := make([]*rightsizerv1.Event, 0, 1000)
	for n := range 500 {
		events = append(events,
			pod(clock(0, n), point, "pod.oom_killed", "web", strconv.Itoa(n)),
			pod(clock(0, n), opened, "pod.crash_loop", "web", strconv.Itoa(n)))
	}
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		c := correlator(b, correlate.Options{})
		for _, e := range events {
			c.Observe(e, e.GetOccurredTime().AsTime())
		}
	}
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N)/float64(len(events)), "cpu-ns/event")
}

// A node takes 1,000 pods of 100 workloads with it, told after its pods.
func BenchmarkObserveNodeAfterItsPods(b *testing.B) {
	var events []*rightsizerv1.Event
	for n := range 500 {
		events = append(events, pod(clock(5, 0), point, "pod.evicted", "app"+strconv.Itoa(n%100), strconv.Itoa(n), on("n1"), evictedFor("taint")))
	}
	down := node(0, opened, "node.not_ready", "n1")
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		c := correlator(b, correlate.Options{})
		for _, e := range events {
			c.Observe(e, start.Add(clock(5, 0)))
		}
		b.StartTimer()
		c.Observe(down, start.Add(clock(5, 0)))
	}
}

// The memory of 8,192 problems in as many incidents, listed as far as the bound
// allows.
func BenchmarkMemory(b *testing.B) {
	const problems = 8192
	var before, after runtime.MemStats
	events := make([]*rightsizerv1.Event, problems)
	for n := range events {
		events[n] = pod(0, opened, "pod.crash_loop", "app"+strconv.Itoa(n), "a", on("n"+strconv.Itoa(n%100)))
	}
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		c := correlator(b, correlate.Options{})
		for _, e := range events {
			c.Observe(e, start)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/problems, "bytes/problem")
		runtime.KeepAlive(c)
	}
	runtime.KeepAlive(events)
}
