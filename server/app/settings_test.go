package app

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/config"
)

// configMap is a folder as the kubelet mounts a ConfigMap: the file is a link into
// a folder that is swapped as a whole.
type configMap struct {
	t   *testing.T
	dir string
	n   int
}

func mountConfigMap(t *testing.T, text string) *configMap {
	m := &configMap{t: t, dir: t.TempDir()}
	require.NoError(t, os.Symlink(filepath.Join("..data", "rightsizer.yaml"), m.path()))
	m.write(text)
	return m
}

func (m *configMap) path() string { return filepath.Join(m.dir, "rightsizer.yaml") }

func (m *configMap) write(text string) {
	m.t.Helper()
	m.n++
	version := "..version_" + strconv.Itoa(m.n)
	require.NoError(m.t, os.Mkdir(filepath.Join(m.dir, version), 0o700))
	require.NoError(m.t, os.WriteFile(filepath.Join(m.dir, version, "rightsizer.yaml"), []byte(text), 0o600))
	next := filepath.Join(m.dir, "..data_tmp")
	require.NoError(m.t, os.Symlink(version, next))
	require.NoError(m.t, os.Rename(next, filepath.Join(m.dir, "..data")))
}

// startFrom starts an operator whose configuration is in a ConfigMap.
func startFrom(t *testing.T, m *configMap, flags map[string]string) (*operator, *atomic.Int64) {
	t.Helper()
	in := config.Input{Flags: map[string]string{
		"config": m.path(), "grpc-bind-address": "127.0.0.1:0", "events-bind-address": "127.0.0.1:0", "metrics-bind-address": "127.0.0.1:0",
	}}
	maps.Copy(in.Flags, flags)
	loaded, err := config.Load(in)
	require.NoError(t, err)
	level := &atomic.Int64{}
	return startWith(t, loaded.Config, nil, func(o *Options) {
		o.File, o.Input, o.Source = loaded.File, in, loaded.Source
		o.SetLogLevel = func(l slog.Level) { level.Store(int64(l)) }
	}), level
}

// events are those that the operator published, by their type.
func (o *operator) events(eventType string) []*rightsizerv1.Event {
	var out []*rightsizerv1.Event
	_, _ = o.bus.Page(bus.Compile(&rightsizerv1.EventFilter{EventTypes: []string{eventType}}, bus.AllNamespaces()), "", "", false, func(e *bus.Entry) bool {
		out = append(out, e.Message().GetEvent())
		return true
	})
	return out
}

func TestTheConfigurationIsFollowed(t *testing.T) {
	m := mountConfigMap(t, "log-level: info\nexhaustion-after: 1m\nthrottled-percent: 30\n")
	o, level := startFrom(t, m, map[string]string{"throttled-percent": "40"})
	metric := func(c assert.TestingT, line string) {
		_, text := get(t, o.url("http", KeyOps)+"/metrics")
		assert.Contains(c, text, line+"\n")
	}
	metric(t, "rightsizer_config_refused 0")

	m.write("log-level: warn\nexhaustion-after: 2m\nthrottled-percent: 31\nrequests-per-second: 7\nring-entries: 1024\ncluster-name: shop\n")
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Len(c, o.events("system.config_changed"), 1)
		metric(c, `rightsizer_config_changes_total{result="applied"} 1`)
		metric(c, "rightsizer_config_restart_pending 2")
	}, 10*time.Second, 20*time.Millisecond)
	changed := o.events("system.config_changed")[0]
	inTaxonomy(t, changed)
	assert.Equal(t, "The configuration changed: requests-per-second: 50 → 7, exhaustion-after: 1m → 2m, log-level: info → warn. "+
		"Waiting for a restart: cluster-name, ring-entries: 4096 → 1024", changed.GetMessage())
	assert.Equal(t, int64(slog.LevelWarn), level.Load())
	assert.Equal(t, 2*time.Minute, o.cluster.lastTuned().Thresholds.ExhaustionAfter)
	assert.EqualValues(t, 40, o.cluster.lastTuned().Thresholds.ThrottledPercent, "the flag goes before the file")
	assert.Contains(t, o.log.String(), "log-level: info → warn")
	health := o.settingsHealth()[0]
	assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, health.GetState())
	assert.Equal(t, "changes wait for a restart: cluster-name, ring-entries", health.GetReason())

	m.write("log-level: debug\nsinks: [{name: pager, url: 'https://user:s3cr3t@x/'}]\nexhaustion-after: soon\n")
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Len(c, o.events("system.config_refused"), 1)
		metric(c, "rightsizer_config_refused 1")
	}, 10*time.Second, 20*time.Millisecond)
	inTaxonomy(t, o.events("system.config_refused")[0])
	health = o.settingsHealth()[0]
	require.NoError(t, protovalidate.Validate(health))
	assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_DEGRADED, health.GetState())
	assert.Contains(t, health.GetReason(), "exhaustion-after ("+m.path()+":3) wants a duration")
	assert.NotContains(t, health.GetReason(), "s3cr3t")
	assert.Equal(t, int64(slog.LevelWarn), level.Load(), "all of the former one stays in force")
	assert.Len(t, o.events("system.config_changed"), 1)

	m.write("log-level: info\n# mended\n")
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		metric(c, "rightsizer_config_refused 0")
		metric(c, "rightsizer_config_restart_pending 0")
		assert.Len(c, o.events("system.config_changed"), 2)
	}, 10*time.Second, 20*time.Millisecond)
	assert.Equal(t, int64(slog.LevelInfo), level.Load())
	assert.Empty(t, o.settingsHealth()[0].GetReason())

	m.write("# another comment\nlog-level: info\n")
	require.EventuallyWithT(t, func(c *assert.CollectT) { metric(c, `rightsizer_config_changes_total{result="applied"} 3`) }, 10*time.Second, 20*time.Millisecond)
	assert.Len(t, o.events("system.config_changed"), 2, "no setting changed")

	m.write("log-level: loud\n")
	require.Eventually(t, func() bool { return len(o.events("system.config_refused")) == 2 }, 10*time.Second, 20*time.Millisecond)
	m.write("log-level: info\n")
	require.Eventually(t, func() bool { return len(o.events("system.config_changed")) == 3 }, 10*time.Second, 20*time.Millisecond, "that it is refused no longer is told")
	assert.Contains(t, messages(o.events("system.config_changed")), "The configuration is refused no longer: it is the one in force")
}

// A change that waits for a restart is told as it stands: again where it becomes
// another, and once more where the file has again what is in force.
func TestWhatWaitsForARestartIsTold(t *testing.T) {
	m := mountConfigMap(t, "ring-entries: 4096\n")
	o, _ := startFrom(t, m, nil)
	for i, step := range []struct{ file, says, health string }{
		{"ring-entries: 1024\n", "Waiting for a restart: ring-entries: 4096 → 1024", "changes wait for a restart: ring-entries"},
		{"ring-entries: 2048\ncluster-name: shop\n", "Waiting for a restart: cluster-name, ring-entries: 4096 → 2048", "changes wait for a restart: cluster-name, ring-entries"},
		{"ring-entries: 4096\ncluster-name: shop\n", "No longer waiting for one: ring-entries", "changes wait for a restart: cluster-name"},
		{"exhaustion-after: 2m\n", "The configuration changed: exhaustion-after: 30s → 2m. No longer waiting for one: cluster-name", ""},
	} {
		m.write(step.file)
		require.Eventually(t, func() bool { return len(o.events("system.config_changed")) == i+1 }, 10*time.Second, 20*time.Millisecond, step.file)
		events := o.events("system.config_changed")
		assert.Contains(t, messages(events), step.says)
		assert.Equal(t, step.health, o.settingsHealth()[0].GetReason())
	}
}

func messages(events []*rightsizerv1.Event) (out []string) {
	for _, e := range events {
		out = append(out, e.GetMessage())
	}
	return out
}

// What the detectors would refuse is refused as all else is: in the log, as an event,
// in health and in the metrics.
func TestThresholdsAreJudgedBeforeTheyAreTaken(t *testing.T) {
	loaded, err := judged(config.Load(config.Input{}))
	require.NoError(t, err)
	loaded.Config.CrashLoopCriticalRestarts = 0
	_, err = judged(loaded, nil)
	require.ErrorContains(t, err, "CrashLoopCriticalRestarts is 0")
	_, err = judged(config.Load(config.Input{Flags: map[string]string{"log-level": "loud"}}))
	require.ErrorContains(t, err, "log-level")
	assert.NotContains(t, err.Error(), "thresholds:", "once")
}

// A file that turned bad since it was loaded is no reason to follow none.
func TestAFileThatTurnsBadBeforeItIsFollowedIsTold(t *testing.T) {
	m := mountConfigMap(t, "log-level: info\n")
	in := config.Input{Flags: map[string]string{"config": m.path()}}
	loaded, err := config.Load(in)
	require.NoError(t, err)
	m.write("log-level: loud\n")
	_, err = New(loaded.Config, Options{
		Logger: slog.New(slog.DiscardHandler), File: loaded.File, Input: in, Source: loaded.Source,
		NewCluster: func(Publisher, prometheus.Registerer) (Cluster, error) { return &fakeCluster{}, nil },
	})
	require.ErrorContains(t, err, "config (flag --config)")
	assert.ErrorContains(t, err, "log-level ("+m.path()+":1)")
}

func TestNoFileNothingToFollow(t *testing.T) {
	o := start(t, loopback())
	assert.Nil(t, o.settings)
	assert.Empty(t, o.settingsHealth())
	_, text := get(t, o.url("http", KeyOps)+"/metrics")
	assert.NotContains(t, text, "rightsizer_config_refused")
}

// inTaxonomy holds an event that happened at one moment against the schema and the
// table of types.
func inTaxonomy(t *testing.T, e *rightsizerv1.Event) {
	t.Helper()
	require.NoError(t, protovalidate.Validate(e))
	assert.Equal(t, rightsizerv1.Phase_PHASE_POINT, e.GetPhase())
	text, err := os.ReadFile("../../watcher/README.md")
	require.NoError(t, err)
	severity := strings.ToLower(strings.TrimPrefix(e.GetSeverity().String(), "SEVERITY_"))
	assert.Contains(t, string(text), "| `"+e.GetType()+"` | "+severity+" | ")
}
