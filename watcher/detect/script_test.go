package detect_test

import (
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/convert"
	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/track"
)

// step is one moment in the life of a pod.
type step struct {
	at string // time of day
	// pod is its YAML below metadata; empty repeats the former.
	pod string
	// deleting has the pod carry a deletionTimestamp.
	deleting bool
	gone     bool
	// events are Kubernetes Events that come first, in YAML.
	events []string
	// use is what the containers were measured to use.
	use []detect.Use
	// want are the phases and types of what is published, such as `OPENED
	// pod.pending`; said are parts of their messages, in order.
	want []string
	said []string
}

// script is a pod's life as the watcher sees it: notes, advance, detect, track.
type script struct {
	t       *testing.T
	notes   *track.Notes[string]
	tracker *track.Tracker
	last    *object.Pod
	seen    map[string]bool // event ids
	events  []*rightsizerv1.Event
}

func newScript(t *testing.T) *script {
	t.Helper()
	tracker := track.New(100)
	return &script{t: t, notes: track.NewNotes(tracker.Open), tracker: tracker, seen: map[string]bool{}}
}

func kubeEvent(t *testing.T, text string) detect.Note {
	t.Helper()
	var e corev1.Event
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &e))
	e.InvolvedObject.Kind = "Pod"
	note, ok := detect.NoteOf(convert.New().KubeEvent(&e))
	require.True(t, ok, "no evidence: %s", text)
	return note
}

func (s *script) play(steps ...step) {
	s.t.Helper()
	for i, st := range steps {
		pod, prev := s.last, s.last
		if st.pod != "" {
			deleting := ""
			if st.deleting {
				deleting = `, deletionTimestamp: "2026-11-23T12:01:00Z"`
			}
			metadata := `metadata: {name: web-1, namespace: shop, uid: u1, generation: 2, creationTimestamp: "2026-11-23T12:00:00Z"` + deleting + `}`
			text := metadata + "\n" + st.pod
			if flow, ok := strings.CutPrefix(st.pod, "{"); ok {
				text = "{" + metadata + ", " + flow
			}
			pod = podOf(s.t, text, s.last)
		}
		for _, e := range st.events {
			note := kubeEvent(s.t, e)
			s.notes.Add(pod.UID, &note)
		}
		in := &detect.PodInput{
			Cluster: "c1", Prev: prev, Cur: pod, Gone: st.gone, Now: at(st.at), Thresholds: detect.DefaultThresholds(),
			Workload: detect.Workload{Kind: "Deployment", Name: "web", ReadyPods: 1}, Evidence: s.notes.Of(pod.UID),
			Use: st.use,
		}
		var findings []detect.Finding
		for _, d := range detect.Pods() {
			findings = d.Detect(in, findings)
		}
		for _, f := range findings {
			if f.Ends != nil {
				f.Ends.End()
			}
		}
		got := s.tracker.Observe(&track.Observation{
			Subject: detect.PodSubject(in), Cluster: "c1", Now: in.Now, Gone: st.gone, Findings: findings,
		}, nil)
		var names []string
		for _, e := range got {
			require.NoError(s.t, protovalidate.Validate(e))
			require.False(s.t, s.seen[e.GetId()], "an id twice: %v", e)
			s.seen[e.GetId()] = true
			assert.NotEmpty(s.t, e.GetMessage())
			names = append(names, strings.TrimPrefix(e.GetPhase().String(), "PHASE_")+" "+e.GetType())
		}
		require.Equal(s.t, st.want, names, "step %d at %s", i, st.at)
		for n, said := range st.said {
			assert.Contains(s.t, got[n].GetMessage(), said)
		}
		s.last = pod
		s.events = append(s.events, got...)
	}
}
