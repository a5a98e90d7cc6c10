package detect_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// A node that reboots soon after a kill is not told the kill again.
func TestASystemOOMOutlivesTheReboot(t *testing.T) {
	note, ok := detect.NoteOf(&object.KubeEvent{
		Kind: "Node", Reason: "SystemOOM", First: 1000, Last: 1000, Count: 1,
		Message: "System OOM encountered, victim process: java, pid: 4711",
	})
	require.True(t, ok)
	told := func(boot string, note detect.Note) detect.ID {
		in := &detect.NodeInput{
			Cluster:  "c",
			Cur:      &detect.Machine{Node: &object.Node{Name: "n", UID: "u", Ready: true, WasReady: true, BootID: boot}},
			Evidence: detect.Evidence{note}, Thresholds: detect.DefaultThresholds(), Now: time.Unix(1600, 0),
		}
		found := (detect.SystemOOM{}).Detect(in, nil)
		require.Len(t, found, 1)
		return found[0].Problem
	}
	assert.Equal(t, told("boot-a", note), told("boot-b", note))
	again := note
	again.Began = 1500
	assert.NotEqual(t, told("boot-b", note), told("boot-b", again), "the same process id, later")
}

// What is told of one row keeps its id, also where an older series is heard of
// after a younger one, and in other words.
func TestEvidenceKeepsItsIdentity(t *testing.T) {
	tests := map[string]struct {
		detector  detect.Detector[object.Pod]
		younger   *object.KubeEvent
		older     *object.KubeEvent
		container object.State
	}{
		"a probe": {
			detector:  detect.Probe{},
			younger:   &object.KubeEvent{Reason: "Unhealthy", Container: "app", Message: "Liveness probe failed: refused"},
			older:     &object.KubeEvent{Reason: "Unhealthy", Container: "app", Message: "Liveness probe failed: timeout"},
			container: object.State{Kind: object.Running, StartedAt: 1},
		},
		"a volume": {
			detector: detect.Volume{},
			younger:  &object.KubeEvent{Reason: "FailedMapVolume", Message: `MapVolume failed for volume "data" : no`},
			older:    &object.KubeEvent{Reason: "FailedMount", Message: `MountVolume.SetUp failed for volume "data" : no`},
		},
		"a network": {
			detector: detect.Sandbox{},
			younger:  &object.KubeEvent{Reason: "NetworkNotReady", Message: "network is not ready"},
			older:    &object.KubeEvent{Reason: "FailedCreatePodSandBox", Message: `plugin type="calico" failed (add): no network`},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			read := func(e *object.KubeEvent, first, last int64) detect.Note {
				e.Kind, e.First, e.Last, e.Count = "Pod", first, last, 5
				note, ok := detect.NoteOf(e)
				require.True(t, ok)
				return note
			}
			told := func(note detect.Note) detect.ID {
				in := &detect.PodInput{
					Cluster: "c", Evidence: detect.Evidence{note}, Thresholds: detect.DefaultThresholds(), Now: time.Unix(note.Last, 0),
					Cur: &object.Pod{UID: "p", Phase: "Running", Containers: []object.Container{{Name: "app", State: tt.container}}},
				}
				found := tt.detector.Detect(in, nil)
				require.Len(t, found, 1)
				return found[0].Problem
			}
			note := read(tt.younger, 100, 200)
			before := told(note)
			older := read(tt.older, 50, 210)
			note.Merge(&older)
			assert.Equal(t, int64(50), note.First)
			assert.Equal(t, before, told(note))
		})
	}
}
