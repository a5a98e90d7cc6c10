package announce_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/client-go/rest"

	"github.com/rightsizer/rightsizer/remediate/announce"
)

type written struct {
	mu     sync.Mutex
	paths  []string
	events []eventsv1.Event
	refuse bool
}

func (w *written) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse {
		out.WriteHeader(http.StatusForbidden)
		return
	}
	var e eventsv1.Event
	if err := json.NewDecoder(r.Body).Decode(&e); err == nil {
		w.events = append(w.events, e)
		w.paths = append(w.paths, r.Method+" "+r.URL.Path)
	}
	out.Header().Set("Content-Type", "application/json")
	out.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(out).Encode(e)
}

func (w *written) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.events)
}

func start(t *testing.T, w *written, run bool) (*announce.Announcer, *prometheus.Registry) {
	t.Helper()
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	reg := prometheus.NewRegistry()
	a, err := announce.New(announce.Options{Config: &rest.Config{Host: server.URL}, Replica: "one", Logger: slog.New(slog.DiscardHandler), Registerer: reg})
	require.NoError(t, err)
	if run {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		t.Cleanup(func() { cancel(); assert.NoError(t, <-done) })
	}
	return a, reg
}

func results(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	found := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			found[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
	}
	return found
}

func notice(name, note string) announce.Notice {
	return announce.Notice{
		Regarding: announce.Object{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: name, UID: "u"},
		Related:   &announce.Object{APIVersion: "rightsizer.dev/v1alpha1", Kind: "Remediation", Namespace: "shop", Name: "r", UID: "v"},
		Reason:    "Resized", Action: "ResizeInPlace", Note: note,
	}
}

func TestANoticeIsAKubernetesEvent(t *testing.T) {
	t.Parallel()
	w := &written{}
	a, _ := start(t, w, true)
	n := notice("web", "memory 256Mi → 512Mi")
	n.Warning = true
	require.NoError(t, a.Say(n))
	cluster := notice("everything", strings.Repeat("é", 1000))
	cluster.Regarding = announce.Object{APIVersion: "rightsizer.dev/v1alpha1", Kind: "ClusterRightSizerPolicy", Name: "all", UID: "w"}
	require.NoError(t, a.Say(cluster))
	require.Eventually(t, func() bool { return w.count() == 2 }, 5*time.Second, time.Millisecond)
	e := w.events[0]
	assert.Equal(t, "POST /apis/events.k8s.io/v1/namespaces/shop/events", w.paths[0])
	assert.Equal(t, "Warning", e.Type)
	assert.Equal(t, "Deployment", e.Regarding.Kind)
	assert.Equal(t, "Remediation", e.Related.Kind)
	assert.Equal(t, "web-", e.GenerateName)
	assert.Equal(t, "one", e.ReportingInstance)
	assert.False(t, e.EventTime.IsZero())
	assert.Equal(t, "POST /apis/events.k8s.io/v1/namespaces/default/events", w.paths[1], "where Events of cluster-scoped objects are")
	assert.LessOrEqual(t, len(w.events[1].Note), 1024)
}

func TestWhatHasNoRoomIsCounted(t *testing.T) {
	t.Parallel()
	a, reg := start(t, &written{}, false)
	require.NoError(t, a.Say(notice("web", "same")))
	require.NoError(t, a.Say(notice("web", "same")))
	for i := range 40 {
		require.NoError(t, a.Say(notice("web", strconv.Itoa(i))))
	}
	got := results(t, reg)
	assert.InDelta(t, 1, got["repeated"], 0)
	assert.InDelta(t, 11, got["limited"], 0, "30 a minute of one object")
	for i := range 300 {
		require.NoError(t, a.Say(notice(fmt.Sprintf("web-%d", i), "x")))
	}
	assert.InDelta(t, 30+300-256, results(t, reg)["full"], 0, "256 wait")
}

func TestARefusalIsCountedAndNotRepeated(t *testing.T) {
	t.Parallel()
	a, reg := start(t, &written{refuse: true}, true)
	require.NoError(t, a.Say(notice("web", "x")))
	require.Eventually(t, func() bool { return results(t, reg)["failed"] == 1 }, 5*time.Second, time.Millisecond)
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	a, _ := start(t, &written{}, false)
	bad := notice("web", "x")
	bad.Reason = "was resized"
	require.ErrorContains(t, a.Say(bad), "CamelCase")
	require.ErrorContains(t, a.Say(announce.Notice{Reason: "A", Action: "B"}), "kind and name")
	_, err := announce.New(announce.Options{})
	require.Error(t, err)
}
