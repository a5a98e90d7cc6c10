package watcher_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"buf.build/go/protovalidate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/yaml"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/watchertest"
)

// moment is a change of one object, or just time that passes.
type moment struct {
	at string // time of day
	// resource and object, in YAML; deleted with its last form.
	resource string
	object   string
	deleted  bool
	// want is what is published, such as `OPENED node.cordoned`; said are parts
	// of the messages, in order.
	want []string
	said []string
}

// story is a cluster's life as a Watcher sees it, from nothing or from the lists
// that it finds at start.
type story struct {
	pods    bool                // of pods it tells, else of all other objects
	start   map[string][]string // by resource
	found   []string            // published at start
	moments []moment
}

// published keeps what is published, and holds it against the schema.
type published struct {
	t      *testing.T
	events []*rightsizerv1.Event
	ids    map[string]bool
}

func (p *published) Publish(e *rightsizerv1.Event) {
	assert.NoError(p.t, protovalidate.Validate(e))
	assert.False(p.t, p.ids[e.GetId()], "id of %s twice", e.GetType())
	p.ids[e.GetId()] = true
	p.events = append(p.events, e)
}

func (p *published) PublishIncident(*rightsizerv1.Incident) {}

func (p *published) Resync(*rightsizerv1.StreamResync) {}

// take returns what was published of pods, or of other objects than pods, and
// their messages.
func (p *published) take(pods bool) (types, said []string) {
	types = []string{}
	for _, e := range p.events {
		if pods == (e.GetObject().GetKind() == "Pod") {
			types = append(types, strings.TrimPrefix(e.GetPhase().String(), "PHASE_")+" "+e.GetType())
			said = append(said, e.GetMessage())
		}
	}
	p.events = nil
	return types, said
}

func day(t *testing.T, at string) time.Time {
	t.Helper()
	out, err := time.Parse(time.DateTime, "2026-11-23 "+at)
	require.NoError(t, err)
	return out
}

// tell plays a story and returns the types that it published.
func tell(t *testing.T, s story) []string {
	t.Helper()
	clock := clocktesting.NewFakeClock(day(t, "12:00:00"))
	pub := &published{t: t, ids: map[string]bool{}}
	w, err := watcher.New(watcher.Options{
		Config: &rest.Config{Host: "http://api.test"}, Publisher: pub, ClusterID: "c1", Clock: clock,
	})
	require.NoError(t, err)
	f, err := w.Feed()
	require.NoError(t, err)
	decode := func(resource, text string) runtime.Object {
		raw, err := yaml.YAMLToJSON([]byte(text))
		require.NoError(t, err)
		obj, err := f.Decode(resource, raw)
		require.NoError(t, err)
		return obj
	}
	for _, r := range watcher.Resources() {
		var list []runtime.Object
		for _, text := range s.start[r.Name] {
			list = append(list, decode(r.Name, text))
		}
		require.NoError(t, f.List(r.Name, list))
	}
	all := slices.Clone(pub.events)
	types, _ := pub.take(s.pods)
	assert.ElementsMatch(t, s.found, types, "found at start")
	for _, e := range all {
		assert.True(t, e.GetFoundAtStart(), e.GetType())
	}
	for i, m := range s.moments {
		clock.SetTime(day(t, m.at))
		f.PassTime()
		if m.resource != "" {
			change := watch.Modified
			if m.deleted {
				change = watch.Deleted
			}
			require.NoError(t, f.Change(m.resource, change, decode(m.resource, m.object)))
		}
		all = append(all, pub.events...)
		types, said := pub.take(s.pods)
		want := m.want
		if want == nil {
			want = []string{}
		}
		require.Equalf(t, want, types, "moment %d at %s: %s", i, m.at, said)
		for j, part := range m.said {
			assert.Contains(t, said[j], part)
		}
	}
	var out []string
	for _, e := range all {
		out = append(out, e.GetType())
	}
	return out
}

// measuredType says that a type is made of usage; TestEveryMeasuredTypeIsTold has
// those.
func measuredType(eventType string) bool {
	for _, prefix := range []string{"resource.", "system.", "node.exhaustion", "pod.cpu_throttled", "pod.process_oom_killed", "pod.pressure."} {
		if strings.HasPrefix(eventType, prefix) {
			return true
		}
	}
	return false
}

// Every type is told at least once by the whole watcher, from what an API server
// says to what is published, and nothing is told that is not documented.
func TestStoriesOfObjects(t *testing.T) {
	var told []string
	for _, stories := range []map[string]story{podStories(), nodeStories, workloadStories, refusalStories, policyStories} {
		for name, s := range stories {
			t.Run(name, func(t *testing.T) { told = append(told, tell(t, s)...) })
		}
	}
	var documented []string
	for _, doc := range detect.All() {
		documented = append(documented, doc.Type)
		if !measuredType(doc.Type) {
			assert.Contains(t, told, doc.Type, "no story tells it")
		}
	}
	for _, typ := range told {
		assert.Contains(t, documented, typ)
	}
}

// A role without autoscalers and budgets is a shortcoming, no failure.
func TestPoliciesThatMayNotBeReadAreAShortcoming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop()
		server.Forbid(watchertest.Autoscalers, true)
		server.Forbid(watchertest.Budgets, true)
		r := start(t, server)
		defer r.stop()
		require.NoError(t, r.Ready())
		for _, name := range []string{"watch/horizontalpodautoscalers", "watch/poddisruptionbudgets"} {
			assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_DEGRADED, r.component(name).GetState(), name)
			assert.Contains(t, r.component(name).GetReason(), "forbidden")
		}
	})
}

// node in YAML: spec and more status are appended.
func node(ready, spec, status string) string {
	return fmt.Sprintf(`
metadata: {name: n1, uid: un1, creationTimestamp: "2026-11-20T12:00:00Z"}
spec: {%s}
status:
  allocatable: {cpu: "1", memory: 1Gi, pods: "3"}
  nodeInfo: {bootID: %s}
  conditions:
  - {type: Ready, status: %s, lastTransitionTime: "2026-11-20T12:00:30Z"}
`, spec, "b1", ready) + status
}

// podOn is a pod bound to n1 that asks for cpu.
func podOn(name, cpu, phase string) string {
	return fmt.Sprintf(`
metadata: {name: %s, namespace: shop, uid: u%s, creationTimestamp: "2026-11-23T11:00:00Z"}
spec: {nodeName: n1, containers: [{name: app, image: web, resources: {requests: {cpu: %s}}}]}
status: {phase: %s}
`, name, name, cpu, phase)
}

const daemonPod = `
metadata:
  {name: agent, namespace: shop, uid: uagent, ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: agent, uid: ua, controller: true}]}
spec: {nodeName: n1, containers: [{name: app, image: agent}]}
status: {phase: Running}
`

var youngNode = strings.ReplaceAll(node(`"False", reason: KubeletNotReady`, "", ""), "2026-11-20T12:00:00Z", "2026-11-23T12:00:00Z")

var nodeStories = map[string]story{
	"not ready, then silent, then back": {
		start: map[string][]string{"nodes": {node(`"True"`, "", "")}},
		moments: []moment{
			{
				at: "12:01:00", resource: "nodes",
				object: strings.Replace(node(`"False", reason: KubeletNotReady, message: no runtime`, "", ""), "2026-11-20T12:00:30Z", "2026-11-23T12:00:59Z", 1),
				want:   []string{"OPENED node.not_ready"},
				said:   []string{"Node n1 is not ready: KubeletNotReady, no runtime"},
			},
			{
				at: "12:02:00", resource: "nodes",
				object: strings.Replace(node(`Unknown, reason: NodeStatusUnknown`, "", ""), "2026-11-20T12:00:30Z", "2026-11-23T12:02:00Z", 1),
				want:   []string{"UPDATED node.not_ready"},
			},
			{at: "12:03:00", resource: "nodes", object: node(`"True"`, "", ""), want: []string{"RESOLVED node.not_ready"}, said: []string{"is ready again"}},
		},
	},
	"found not ready": {
		start: map[string][]string{"nodes": {node(`"False"`, "", "")}}, found: []string{"OPENED node.not_ready"},
	},
	"a new node is ready in time": {
		moments: []moment{
			{at: "12:00:05", resource: "nodes", object: youngNode},
			{at: "12:00:40", resource: "nodes", object: strings.Replace(youngNode, `"False"`, `"True"`, 1), want: []string{"POINT node.ready"}},
			{at: "12:00:50", resource: "nodes", object: strings.Replace(youngNode, `"False"`, `"True"`, 1)},
		},
	},
	"a new node is not": {
		moments: []moment{
			{at: "12:00:05", resource: "nodes", object: youngNode},
			{at: "12:01:59"},
			{at: "12:02:00", want: []string{"OPENED node.not_ready"}},
		},
	},
	"short of everything": {
		start: map[string][]string{"nodes": {node(`"True"`, "", "")}},
		moments: []moment{
			{
				at: "12:01:00", resource: "nodes", object: node(`"True"`, "", `
  - {type: MemoryPressure, status: "True", reason: KubeletHasInsufficientMemory, lastTransitionTime: "2026-11-23T12:01:00Z"}
  - {type: DiskPressure, status: "True", lastTransitionTime: "2026-11-23T12:01:00Z"}
  - {type: PIDPressure, status: "True", lastTransitionTime: "2026-11-23T12:01:00Z"}
  - {type: NetworkUnavailable, status: "True", lastTransitionTime: "2026-11-23T12:01:00Z"}
`),
				want: []string{
					"OPENED node.pressure.memory", "OPENED node.pressure.disk", "OPENED node.pressure.pid", "OPENED node.network_unavailable",
				},
				said: []string{"Node n1 is short of memory and evicts pods: KubeletHasInsufficientMemory"},
			},
			{
				at: "12:05:00", resource: "nodes", object: node(`"True"`, "", `
  - {type: MemoryPressure, status: "False", lastTransitionTime: "2026-11-23T12:05:00Z"}
`),
				want: []string{
					"RESOLVED node.pressure.memory", "RESOLVED node.pressure.disk", "RESOLVED node.pressure.pid",
					"RESOLVED node.network_unavailable",
				},
			},
		},
	},
	"cordoned, drained, back": {
		start: map[string][]string{"nodes": {node(`"True"`, "", "")}, "pods": {podOn("web", "100m", "Running"), daemonPod}},
		moments: []moment{
			{
				at: "12:01:00", resource: "nodes", object: node(`"True"`, "unschedulable: true", ""),
				want: []string{"OPENED node.cordoned"}, said: []string{"takes no new pods, 1 pod to move"},
			},
			{at: "12:02:00", resource: "pods", object: podOn("web", "100m", "Running"), deleted: true, want: []string{"POINT node.drained"}},
			{at: "12:02:10", resource: "pods", object: podOn("other", "100m", "Running")}, // It tolerates the cordon.
			{at: "12:02:20", resource: "pods", object: podOn("other", "100m", "Running"), deleted: true},
			{at: "12:02:30", resource: "nodes", object: node(`"True"`, "unschedulable: true", "")},
			{at: "12:03:00", resource: "nodes", object: node(`"True"`, "", ""), want: []string{"RESOLVED node.cordoned"}},
			{at: "12:04:00", resource: "nodes", object: node(`"True"`, "unschedulable: true", ""), want: []string{"OPENED node.cordoned"}},
		},
	},
	"tainted": {
		start: map[string][]string{"nodes": {node(`"True"`, "taints: [{key: gpu, effect: NoSchedule}]", "")}},
		moments: []moment{
			{
				at: "12:01:00", resource: "nodes",
				object: node(`"True"`, "taints: [{key: gpu, effect: NoSchedule}, {key: maintenance, value: disk, effect: NoExecute}, {key: node.kubernetes.io/not-ready, effect: NoExecute}]", ""),
				want:   []string{"OPENED node.tainted"},
				said:   []string{"is tainted with maintenance=disk:NoExecute: it takes only pods that tolerate that and evicts the others"},
			},
			{at: "12:02:00", resource: "nodes", object: node(`"True"`, "taints: [{key: gpu, effect: NoSchedule}]", ""), want: []string{"RESOLVED node.tainted"}},
		},
	},
	"full by requests, with slack, and by pods": {
		start: map[string][]string{"nodes": {node(`"True"`, "", "")}, "pods": {podOn("a", "900m", "Running")}},
		moments: []moment{
			{
				at: "12:01:00", resource: "pods", object: podOn("b", "60m", "Pending"), want: []string{"OPENED node.full"},
				said: []string{"its pods ask for 96 % of its CPU and 0 % of its memory"},
			},
			{at: "12:02:00", resource: "pods", object: podOn("b", "20m", "Running")},
			{at: "12:03:00", resource: "pods", object: podOn("c", "0m", "Running"), want: []string{"UPDATED node.full"}, said: []string{"3 pods and takes no more than 3"}},
			{
				at: "12:04:00", resource: "pods", object: podOn("b", "20m", "Succeeded"), want: []string{"UPDATED node.full"},
				said: []string{"its pods ask for 90 % of its CPU"},
			},
			{at: "12:05:00", resource: "pods", object: podOn("a", "700m", "Running"), want: []string{"RESOLVED node.full"}},
		},
	},
	"rebooted, then removed with a pod": {
		start: map[string][]string{"nodes": {node(`"True"`, "", "")}, "pods": {podOn("a", "100m", "Running")}},
		moments: []moment{
			{at: "12:01:00", resource: "nodes", object: strings.Replace(node(`"True"`, "", ""), "b1", "b2", 1), want: []string{"POINT node.rebooted"}},
			{at: "12:02:00", resource: "nodes", object: node(`"True"`, "", ""), deleted: true, want: []string{"POINT node.removed"}, said: []string{"with 1 pod on it"}},
		},
	},
	"a child process is killed": {
		start: map[string][]string{"nodes": {node(`"True"`, "", "")}},
		moments: []moment{
			{
				at: "12:01:00", resource: "events", object: nodeEvent("e1", "SystemOOM", "System OOM encountered, victim process: stress, pid: 4242"),
				want: []string{"POINT node.system_oom"}, said: []string{"killed process stress (pid 4242)"},
			},
			{at: "12:01:01", resource: "events", object: nodeEvent("e2", "OOMKilling", "Memory cgroup out of memory: Killed process 4242 (stress) total-vm:1kB")},
			{at: "12:01:02", resource: "events", object: nodeEvent("e3", "OOMKilling", "Out of memory: Killed process 77 (java)"), want: []string{"POINT node.system_oom"}},
			{at: "12:01:03", resource: "nodes", object: node(`"True"`, "", "")},
			{at: "14:01:03", resource: "nodes", object: node(`"True"`, "", "")},
		},
	},
}

// nodeEvent as kubelets write it, with the node's name for its UID.
func nodeEvent(name, reason, message string) string {
	return fmt.Sprintf(`
metadata: {name: %s, namespace: default}
involvedObject: {kind: Node, name: n1, uid: n1}
reason: %s
message: %q
firstTimestamp: "2026-11-23T12:00:58Z"
lastTimestamp: "2026-11-23T12:00:58Z"
`, name, reason, message)
}
