package detect_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// useScripts show the events that come of what is measured.
func useScripts() map[string][]step {
	running := step{at: "12:00:10", pod: runningPod("12:00:05", true)}
	high := func(state uint8, changes int32, used, bound int64) detect.Level {
		return detect.Level{Share: float32(used) / float32(bound), State: state, Changes: changes, Since: 1795435200, Used: used, Bound: bound}
	}
	share := func(s float32) detect.Level {
		return detect.Level{Share: s, State: detect.LevelHigh, Since: 1795435200}
	}
	restarted := fmt.Sprintf(`
spec: {nodeName: n1, containers: [{name: app, image: "registry.example.com/web:1"}]}
status:
  phase: Running
  conditions: [{type: PodScheduled, status: "True"}, {type: Ready, status: "True"}]
  containerStatuses: [{name: app, ready: true, restartCount: 1, state: {running: {startedAt: "2026-11-23T%sZ"}},
    lastState: {terminated: {reason: OOMKilled, exitCode: 137, containerID: "containerd://1", finishedAt: "2026-11-23T12:03:00Z"}}}]
`, "12:03:01")
	const limit = 200 << 20
	return map[string][]step{
		"memory near its limit": {
			running,
			{
				at: "12:01:00", use: []detect.Use{{Container: "app", Memory: high(detect.LevelHigh, 0, 184<<20, limit)}},
				want: []string{"OPENED resource.exhaustion"}, said: []string{"Container app of pod web-1 uses 92 % of its memory limit of 200 MiB"},
			},
			{at: "12:01:30", use: []detect.Use{{Container: "app", Memory: high(detect.LevelHigh, 0, 186<<20, limit)}}},
			{
				at: "12:02:00", use: []detect.Use{{Container: "app", Memory: high(detect.LevelCritical, 1, 198<<20, limit)}},
				want: []string{"UPDATED resource.exhaustion"},
			},
			{
				at: "12:03:02", pod: restarted, use: []detect.Use{{Container: "app", Memory: high(detect.LevelCritical, 1, 198<<20, limit)}},
				want: []string{"POINT pod.oom_killed", "RESOLVED resource.exhaustion"}, said: []string{"", "no longer near its memory limit"},
			},
		},
		"processes killed beside others": {
			running,
			{at: "12:01:00", use: []detect.Use{{Container: "app", Kills: killed([2]int64{1, 1})}}},
			{
				at: "12:01:30", use: []detect.Use{{Container: "app", Kills: killed([2]int64{1, 1}, [2]int64{2, 3})}},
				want: []string{"POINT pod.process_oom_killed"}, said: []string{"Container app of pod web-1 lost 1 process to the kernel's OOM killer and lives on"},
			},
			{
				at: "12:02:00", use: []detect.Use{{Container: "app", Kills: killed([2]int64{1, 1}, [2]int64{2, 3}, [2]int64{0, 3})}},
				want: []string{"POINT pod.process_oom_killed"}, said: []string{"lost 2 processes"},
			},
			{at: "12:02:30", use: []detect.Use{{Container: "app", Kills: killed([2]int64{1, 1}, [2]int64{2, 3}, [2]int64{0, 3})}}},
			{
				at: "12:03:02", pod: restarted, use: []detect.Use{{Container: "app", Kills: killed([2]int64{1, 1}, [2]int64{2, 3}, [2]int64{0, 3})}},
				want: []string{"POINT pod.oom_killed"},
			},
		},
		"CPU near its limit, throttled, waiting": {
			running,
			{
				at: "12:01:00", use: []detect.Use{
					{
						Container: "app", CPU: high(detect.LevelHigh, 0, 230, 250), Throttling: share(0.4),
						CPUPressure: share(0.3), MemoryPressure: share(0.25), IOPressure: share(0.2),
					},
					{Container: "gone", CPU: high(detect.LevelHigh, 0, 230, 250)},
				},
				want: []string{"OPENED resource.exhaustion", "OPENED pod.cpu_throttled", "OPENED pod.pressure.memory", "OPENED pod.pressure.cpu", "OPENED pod.pressure.io"},
				said: []string{"92 % of its CPU limit of 250 m", "in 40 % of the periods", "waited for memory in 25 % of the time", "waited for CPU", "waited for the disk"},
			},
			{
				at:   "12:02:00",
				want: []string{"RESOLVED resource.exhaustion", "RESOLVED pod.cpu_throttled", "RESOLVED pod.pressure.memory", "RESOLVED pod.pressure.cpu", "RESOLVED pod.pressure.io"},
			},
		},
	}
}

func TestALevelIsToldAfterItLasted(t *testing.T) {
	var l detect.Level
	advance := func(share float64, at int64) bool { return l.Advance(share, at, 0.9, 0.97, 30*time.Second) }
	assert.False(t, advance(0.5, 0))
	assert.False(t, advance(0.91, 100))
	assert.False(t, advance(0.92, 120))
	assert.True(t, advance(0.93, 130), "for 30 s")
	assert.EqualValues(t, 100, l.Since)
	assert.False(t, advance(0.86, 140), "hovers")
	assert.True(t, advance(0.98, 150), "critical")
	assert.Equal(t, detect.LevelCritical, l.State)
	assert.False(t, advance(0.93, 160), "hovers")
	assert.True(t, advance(0.91, 170))
	assert.EqualValues(t, 2, l.Changes)
	assert.True(t, advance(0.8, 180), "over")
	assert.Equal(t, detect.Level{Share: 0.8}, l)
	assert.False(t, advance(0.91, 190))
	assert.False(t, advance(0.89, 200), "a short burst never began")
	assert.Zero(t, l.Since)
	assert.True(t, advance(0.99, 210), "critical is told at once")
}

func TestExhaustedNodes(t *testing.T) {
	in := &detect.NodeInput{
		Cluster: "c1", Cur: &detect.Machine{Node: &object.Node{Name: "n1", UID: "u"}}, Thresholds: detect.DefaultThresholds(),
		Use: []detect.Use{{
			Memory: detect.Level{Share: 0.98, State: detect.LevelCritical, Since: 5, Used: 98, Bound: 100},
			CPU:    detect.Level{Share: 0.91, State: detect.LevelHigh, Since: 5, Used: 91, Bound: 100},
		}},
	}
	found := detect.NodeExhaustion{}.Detect(in, nil)
	require.Len(t, found, 2)
	assert.Equal(t, "Node n1 uses 98 % of its allocatable memory", found[0].Message)
	assert.Equal(t, "Node n1 uses 91 % of its allocatable CPU", found[1].Message)
	in.Use = nil
	assert.Empty(t, detect.NodeExhaustion{}.Detect(in, nil))
}

// killed is what is told of a container whose count rises as given, poll by poll.
func killed(counts ...[2]int64) detect.Kills {
	var k detect.Kills
	for i, c := range counts {
		k.Advance(c[0], c[1], 1795435200+int64(i))
	}
	return k
}

// A rise is told at the poll after, with which the container has lived on; a count
// that stands still, not again.
func TestKillsAreToldOnceTheContainerLivesOn(t *testing.T) {
	var k detect.Kills
	assert.False(t, k.Advance(0, 4, 100), "before the start")
	assert.False(t, k.Advance(2, 6, 110), "perhaps the container itself")
	assert.True(t, k.Advance(1, 7, 120))
	assert.Equal(t, [3]int64{2, 6, 110}, [3]int64{k.Number, k.Total, k.At})
	assert.True(t, k.Advance(0, 7, 130))
	assert.Equal(t, [3]int64{1, 7, 120}, [3]int64{k.Number, k.Total, k.At})
	assert.False(t, k.Advance(0, 7, 140))
}

// What is told comes to its end at every threshold that validation accepts.
func TestALevelEndsWhereNothingIsUsed(t *testing.T) {
	for percent := 1; percent <= 100; percent++ {
		var l detect.Level
		high := float64(percent) / 100
		require.True(t, l.Advance(high, 1000, high, 0, 0), percent)
		assert.False(t, l.Advance(high*0.96, 1001, high, 0, 0), "%d %%: hovers", percent)
		assert.True(t, l.Advance(0, 1002, high, 0, 0), "%d %%", percent)
		assert.Equal(t, detect.LevelCalm, l.State, "%d %%", percent)
	}
}
