package correlate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/correlate"
)

// A node stops answering: after 40 s the node controller says so, after 5 min the
// taint manager evicts, and the workloads look for room elsewhere.
func TestNodeDown(t *testing.T) {
	c := correlator(t, correlate.Options{}).see(
		node(clock(0, 0), opened, "node.not_ready", "n1", as(critical)),
		node(clock(0, 5), point, "node.tainted", "n1", as(info)),
		of(clock(2, 40), opened, "deployment.unavailable", "web"),
		pod(clock(5, 0), point, "pod.evicted", "web", "a", on("n1"), evictedFor("taint")),
		pod(clock(5, 0), point, "pod.evicted", "api", "a", on("n1"), saying("TaintManagerEviction", "Marking for deletion Pod shop/api-a")),
		pod(clock(5, 12), opened, "pod.unschedulable.resources", "web", "b"),
	)
	in := c.only()
	assert.Equal(t, "node_down", in.GetRule())
	assert.Equal(t, "node.not_ready n1", rootOf(in))
	assert.Equal(t, []string{
		"node.not_ready", "node.tainted", "deployment.unavailable", "pod.evicted", "pod.evicted", "pod.unschedulable.resources",
	}, types(in))
	assert.Equal(t, isOpen, in.GetState())
	assert.Equal(t, critical, in.GetSeverity())
	assert.InDelta(t, 0.81, in.GetConfidence(), 0.001, "the mean of 75, 70, 95, 95 and 70")
	assert.Equal(t, "Node n1 is not ready; 5 problems of Deployment shop/web and Deployment shop/api are put down to it.", in.GetSummary())

	c.see(
		node(clock(9, 0), over, "node.not_ready", "n1"),
		of(clock(9, 30), over, "deployment.unavailable", "web"),
		pod(clock(10, 0), over, "pod.unschedulable.resources", "web", "b"),
	)
	assert.Equal(t, isOpen, c.only().GetState(), "evicted less than 10 min ago")
	c.at(clock(15, 0))
	assert.Equal(t, isOver, c.only().GetState())
	assert.Equal(t, start.Add(clock(10, 0)), c.only().GetResolvedTime().AsTime())
	assert.Contains(t, c.only().GetSummary(), "was not ready")
}

// The pod garbage collector names the loss of the node only by its reason.
func TestPodsOfANodeThatIsNoMore(t *testing.T) {
	for name, evicted := range map[string]change{
		"by its details": evictedFor("node_lost"), "by its reason": saying("DeletionByPodGC", "Pod web-a was evicted"),
	} {
		t.Run(name, func(t *testing.T) {
			c := correlator(t, correlate.Options{}).see(
				node(clock(0, 0), point, "node.removed", "n1"),
				pod(clock(0, 40), point, "pod.evicted", "web", "a", on("n1"), evicted),
				of(clock(0, 41), opened, "deployment.unavailable", "web"),
			)
			assert.Equal(t, []string{"node.removed", "pod.evicted", "deployment.unavailable"}, types(c.only()))
			assert.InDelta(t, 0.83, c.only().GetConfidence(), 0.001, "the mean of 95 and 70")
		})
	}
}

func TestTwoNodesDownAreTwoIncidents(t *testing.T) {
	c := correlator(t, correlate.Options{}).see(
		node(clock(0, 0), opened, "node.not_ready", "n1"),
		node(clock(0, 1), opened, "node.not_ready", "n2"),
		pod(clock(5, 0), point, "pod.evicted", "web", "a", on("n1"), evictedFor("taint")),
		pod(clock(5, 1), point, "pod.evicted", "web", "b", on("n2"), evictedFor("taint")),
	)
	list := c.Incidents()
	require.Len(t, list, 2)
	for _, in := range list {
		assert.Equal(t, "node_down", in.GetRule())
		assert.Equal(t, int32(2), in.GetMemberCount())
	}
}

func TestWhatANodeDoesNotCause(t *testing.T) {
	c := correlator(t, correlate.Options{}).see(
		pod(clock(-20, 0), opened, "pod.crash_loop", "old", "a", on("n1")),
		node(clock(0, 0), opened, "node.not_ready", "n1"),
		pod(clock(1, 0), opened, "pod.image_pull.not_found", "typo", "a", on("n1"), pulling("shop/typo:1")),
		pod(clock(1, 0), opened, "pod.probe_failed.liveness", "web", "a", on("n2")),
		node(clock(2, 0), over, "node.not_ready", "n1"),
		pod(clock(13, 0), opened, "pod.probe_failed.liveness", "late", "a", on("n1")),
	)
	require.Len(t, c.Incidents(), 5)
	for _, in := range c.Incidents() {
		assert.Equal(t, int32(1), in.GetMemberCount())
	}
}

// The kubelet evicts first and says that it is under pressure with its next
// status, 10 s later.
func TestMemoryPressure(t *testing.T) {
	c := correlator(t, correlate.Options{}).see(
		pod(clock(0, 0), point, "pod.evicted", "batch", "a", on("n1"), evictedFor("memory")),
		node(clock(0, 10), opened, "node.pressure.memory", "n1"),
		pod(clock(0, 15), point, "pod.oom_killed", "cache", "a", on("n1"), limit(0)),
		pod(clock(0, 12), opened, "pod.unschedulable.taint", "batch", "b"),
		node(clock(0, 20), point, "node.system_oom", "n1", as(critical)),
		// Beyond its own limit: nothing to do with the node.
		pod(clock(0, 30), point, "pod.oom_killed", "leak", "a", on("n1"), limit(64<<20)),
	)
	require.Len(t, c.Incidents(), 2)
	in := c.told[c.all[0].GetId()]
	assert.Equal(t, "memory_pressure", in.GetRule())
	assert.Equal(t, "node.pressure.memory n1", rootOf(in))
	assert.Equal(t, int32(5), c.Incidents()[1].GetMemberCount())
	assert.Contains(t, in.GetSummary(), "Node n1 is short of memory; ")
}

// A broken image goes out: pulls fail at once, the deadline for progress passes
// after 10 min.
func TestRollout(t *testing.T) {
	c := correlator(t, correlate.Options{}).see(
		of(clock(0, 0), point, "deployment.rollout_started", "web", as(info)),
	)
	require.Empty(t, c.Incidents(), "a rollout is no incident")
	c.see(
		pod(clock(0, 8), opened, "pod.image_pull.not_found", "web", "a", on("n1"), pulling("shop/web:2")),
		pod(clock(0, 9), opened, "pod.image_pull.not_found", "web", "b", on("n2"), pulling("shop/web:2")),
		pod(clock(1, 0), opened, "pod.crash_loop", "web", "c", as(failure)),
		of(clock(10, 1), opened, "deployment.stuck", "web", as(failure)),
	)
	in := c.only()
	assert.Equal(t, "rollout", in.GetRule())
	assert.Equal(t, "deployment.rollout_started web", rootOf(in))
	assert.InDelta(t, 0.83, in.GetConfidence(), 0.001)
	assert.Equal(t, "After the rollout of Deployment shop/web began: 2 × pod.image_pull.not_found, 1 × deployment.stuck, 1 × pod.crash_loop.", in.GetSummary())
}

func TestWhatARolloutDoesNotCause(t *testing.T) {
	c := correlator(t, correlate.Options{}).see(
		pod(clock(-5, 0), opened, "pod.crash_loop", "web", "old"),
		of(clock(0, 0), point, "deployment.rollout_started", "web", as(info)),
		pod(clock(1, 0), opened, "pod.crash_loop", "api", "a"),
		pod(clock(2, 0), point, "pod.evicted", "web", "x", evictedFor("preemption")),
		pod(clock(11, 0), opened, "pod.image_pull.not_found", "web", "a", pulling("i")),
	)
	for _, in := range c.Incidents() {
		assert.Equal(t, "workload", in.GetRule())
	}
}

func TestQuota(t *testing.T) {
	c := correlator(t, correlate.Options{}).see(
		of(clock(0, 0), opened, "quota.exceeded", "web", refusedBy("compute")),
		of(clock(0, 30), opened, "quota.exceeded", "api", saying("FailedCreate", `pods "api-x" is forbidden: exceeded quota: compute, requested: cpu=1`)),
		of(clock(2, 0), opened, "deployment.unavailable", "web"),
		of(clock(1, 0), opened, "hpa.at_maximum", "api"),
	)
	in := c.only()
	assert.Equal(t, "quota", in.GetRule())
	assert.Equal(t, "quota.exceeded web", rootOf(in))
	assert.Equal(t, "Quota compute of namespace shop refuses pods of Deployment shop/web and Deployment shop/api.", in.GetSummary())

	// What the quota refused nothing has another reason, and so has another quota.
	c.see(
		of(clock(3, 0), opened, "deployment.unavailable", "other"),
		of(clock(3, 0), opened, "quota.exceeded", "jobs", refusedBy("objects")),
	)
	assert.Len(t, c.Incidents(), 3)
}

func TestImage(t *testing.T) {
	c := correlator(t, correlate.Options{}).see(
		of(clock(0, 0), point, "deployment.rollout_started", "web", as(info)),
		pod(clock(0, 5), opened, "pod.image_pull.unauthorized", "web", "a", pulling("registry/base:1")),
		pod(clock(0, 6), opened, "pod.image_pull.unauthorized", "web", "b", pulling("registry/base:1")),
	)
	require.Equal(t, "rollout", c.only().GetRule(), "one workload alone is its own affair")
	first := c.only().GetId()
	c.see(pod(clock(1, 0), opened, "pod.image_pull.unauthorized", "api", "a",
		saying("ErrImagePull", `Failed to pull image "registry/base:1": unauthorized`)))
	in := c.only()
	assert.Equal(t, "image", in.GetRule(), "the better root")
	assert.Equal(t, first, in.GetId(), "the older incident goes on")
	assert.Equal(t, "pod.image_pull.unauthorized web-a", rootOf(in))
	assert.Equal(t, int32(3), in.GetMemberCount())
	assert.Equal(t, "Image registry/base:1 cannot be pulled in Deployment shop/web and Deployment shop/api.", in.GetSummary())
	c.see(pod(clock(1, 0), opened, "pod.image_pull.unauthorized", "job", "a", pulling("registry/other:1")))
	assert.Len(t, c.Incidents(), 2)
}

func TestCapacity(t *testing.T) {
	c := correlator(t, correlate.Options{}).see(
		pod(clock(0, 0), opened, "pod.unschedulable.resources", "web", "a"),
		pod(clock(0, 1), opened, "pod.unschedulable.resources", "web", "b"),
	)
	assert.Equal(t, "workload", c.only().GetRule(), "it may ask for too much")
	c.see(pod(clock(0, 30), opened, "pod.unschedulable.resources", "api", "a"))
	in := c.only()
	assert.Equal(t, "capacity", in.GetRule())
	assert.InDelta(t, 0.5, in.GetConfidence(), 0.001)
	assert.Equal(t, "2 workloads find no room in the cluster: 3 pods of Deployment shop/web and Deployment shop/api.", in.GetSummary())
	c.see(node(clock(2, 0), opened, "node.full", "later"))
	require.Len(t, c.Incidents(), 2)
	c.see(node(clock(2, 0), over, "node.full", "later")).at(clock(70, 0))
	c.see(node(clock(-1, 0), opened, "node.full", "n1"))
	in = c.only()
	assert.Equal(t, "node.full n1", rootOf(in))
	assert.InDelta(t, 0.65, in.GetConfidence(), 0.001)
	assert.Equal(t, "1 node is full, and 3 pods of Deployment shop/web and Deployment shop/api found no room.", in.GetSummary())
	c.see(pod(clock(0, 40), opened, "pod.unschedulable.affinity", "db", "a"))
	assert.Len(t, c.Incidents(), 2)
}

// A leak: kill, restart, kill, back-off, the service is gone, the autoscaler
// adds pods that leak as well.
func TestOOMStorm(t *testing.T) {
	c := correlator(t, correlate.Options{}).see(
		pod(clock(0, 0), point, "pod.oom_killed", "web", "a", limit(1), as(failure)),
	)
	assert.Equal(t, "workload", c.only().GetRule(), "one kill is no storm")
	assert.InDelta(t, 0.5, c.only().GetConfidence(), 0.001)
	c.see(
		pod(clock(0, 40), point, "pod.oom_killed", "web", "a", nth("2"), limit(1), as(failure)),
		pod(clock(0, 40), opened, "pod.crash_loop", "web", "a", as(critical)),
		pod(clock(1, 0), point, "pod.oom_killed", "web", "b", limit(1), as(failure)),
		pod(clock(1, 20), updated, "pod.crash_loop", "web", "a", as(critical), saying("CrashLoopBackOff", "3 restarts")),
		of(clock(2, 40), opened, "deployment.unavailable", "web", as(failure)),
		of(clock(4, 0), opened, "hpa.at_maximum", "web"),
	)
	in := c.only()
	assert.Equal(t, "oom_storm", in.GetRule())
	assert.Equal(t, "pod.oom_killed web-a", rootOf(in))
	assert.Equal(t, start, in.GetOpenedTime().AsTime())
	assert.Equal(t, []string{
		"pod.oom_killed", "pod.crash_loop", "pod.oom_killed", "pod.oom_killed", "deployment.unavailable", "hpa.at_maximum",
	}, sortedTie(types(in)))
	assert.Equal(t, "OOM kills of Deployment shop/web: 3 × pod.oom_killed, 1 × deployment.unavailable, 1 × hpa.at_maximum, 1 × pod.crash_loop.", in.GetSummary())
	c.see(pod(clock(1, 0), point, "pod.oom_killed", "api", "a", limit(1)))
	assert.Len(t, c.Incidents(), 2, "another workload in the namespace")
}

// sortedTie puts the two members of 12:00:40, whose order is by id, into one.
func sortedTie(in []string) []string {
	if in[1] == "pod.oom_killed" && in[2] == "pod.crash_loop" {
		in[1], in[2] = in[2], in[1]
	}
	return in
}

func TestWorkload(t *testing.T) {
	c := correlator(t, correlate.Options{}).see(
		pod(clock(0, 0), opened, "pod.config_error", "web", "a"),
		pod(clock(3, 0), opened, "pod.volume.mount_failed", "web", "b"),
		pod(clock(3, 0), opened, "pod.config_error", "api", "a"),
		event(clock(3, 0), opened, "pod.config_error", "Pod", "shop", "web", "", nil),
	)
	require.Len(t, c.Incidents(), 3, "unrelated problems of one namespace do not join")
	in := c.Incidents()[2]
	if in.GetMemberCount() != 2 {
		in = c.Incidents()[1]
	}
	if in.GetMemberCount() != 2 {
		in = c.Incidents()[0]
	}
	assert.Equal(t, "workload", in.GetRule())
	assert.Equal(t, "pod.config_error web-a", rootOf(in))
	assert.Equal(t, "2 problems of Deployment shop/web; the first was pod.config_error.", in.GetSummary())
}

// An episode ends 10 min after the last problem did.
func TestEpisode(t *testing.T) {
	c := correlator(t, correlate.Options{}).see(
		pod(clock(0, 0), opened, "pod.config_error", "web", "a"),
		pod(clock(5, 0), over, "pod.config_error", "web", "a"),
	)
	require.Equal(t, isOver, c.only().GetState())
	c.see(pod(clock(14, 0), opened, "pod.config_error", "web", "b"))
	assert.Equal(t, isOpen, c.only().GetState(), "open again")
	assert.Nil(t, c.only().GetResolvedTime())
	c.see(
		pod(clock(15, 0), over, "pod.config_error", "web", "b"),
		pod(clock(25, 1), opened, "pod.config_error", "web", "c"),
	)
	assert.Len(t, c.Incidents(), 2)
}

func TestOnlyWhatMattersMakesIncidents(t *testing.T) {
	c := correlator(t, correlate.Options{}).see(
		pod(clock(0, 0), point, "pod.started", "web", "a", as(info)),
		of(clock(0, 1), point, "deployment.scaled", "web", as(info)),
		node(clock(0, 2), point, "node.ready", "n1", as(info)),
	)
	assert.Empty(t, c.Incidents())
	assert.Zero(t, c.Stats().Problems, "nor are they remembered")
	c.see(of(clock(1, 0), point, "deployment.rollout_started", "web", as(info)))
	assert.Equal(t, 1, c.Stats().Problems)
	assert.Empty(t, c.all)
	c.at(2 * time.Hour)
	assert.Zero(t, c.Stats().Problems)
}

// What was there before the operator correlates the same way, whatever comes
// first in the first lists.
func TestFoundAtStart(t *testing.T) {
	found := func(e *rightsizerv1.Event) { e.FoundAtStart = true }
	c := correlator(t, correlate.Options{})
	c.at(clock(30, 0))
	c.see(
		pod(clock(5, 0), point, "pod.evicted", "web", "a", on("n1"), evictedFor("taint"), found),
		pod(clock(-100, 0), point, "pod.oom_killed", "api", "a", found),
		node(clock(0, 0), opened, "node.not_ready", "n1", found),
	)
	require.Len(t, c.Incidents(), 2)
	for _, in := range c.Incidents() {
		if in.GetRule() == "node_down" {
			assert.Equal(t, isOpen, in.GetState())
			assert.Equal(t, int32(2), in.GetMemberCount())
			continue
		}
		assert.Equal(t, isOver, in.GetState(), "killed two hours ago")
		assert.Equal(t, start.Add(clock(-100, 0)), in.GetResolvedTime().AsTime())
	}
}
