package source

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"github.com/rightsizer/rightsizer/watcher/meter"
)

var now = time.Unix(1_800_000_300, 0).UTC()

// collect copies samples by what they are about.
func collect(into map[string]meter.Sample) func(*meter.Sample) {
	return func(s *meter.Sample) {
		copied := *s
		copied.Time, copied.Started = s.Time.UTC(), s.Started.UTC()
		into[s.Namespace+"/"+s.Pod+"/"+s.Container] = copied
	}
}

func file(t testing.TB, name string) string {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return string(raw)
}

func TestResourceMetrics(t *testing.T) {
	got := map[string]meter.Sample{}
	require.NoError(t, readResource(strings.NewReader(file(t, "kubelet-resource.txt")), "node-1", now, collect(got)))
	assert.Equal(t, map[string]meter.Sample{
		"shop/web-1/app": {
			Namespace: "shop", Pod: "web-1", Container: "app", Node: "node-1", Time: time.UnixMilli(1_800_000_000_250).UTC(),
			Started: time.Unix(1_799_990_000, 0).UTC(), Has: meter.CPU | meter.CPUCounter | meter.Memory, CPUSeconds: 12.5, MemoryBytes: 90 << 20,
		},
		"shop/web-1/proxy": {
			Namespace: "shop", Pod: "web-1", Container: "proxy", Node: "node-1", Time: time.UnixMilli(1_800_000_000_260).UTC(),
			Has: meter.CPU | meter.CPUCounter | meter.Memory, CPUSeconds: 3.25, MemoryBytes: 1 << 20,
			Started: got["shop/web-1/proxy"].Started,
		},
		"//": {
			Node: "node-1", Time: time.UnixMilli(1_800_000_000_100).UTC(), Started: got["//"].Started,
			Has: meter.CPU | meter.CPUCounter | meter.Memory, CPUSeconds: 4000.5, MemoryBytes: 2 << 30,
		},
	}, got)
	assert.True(t, got["//"].Started.Equal(time.Time{}))
}

func TestThrottlingOfContainersAlone(t *testing.T) {
	got := map[string]meter.Sample{}
	require.NoError(t, readThrottling(strings.NewReader(file(t, "kubelet-cadvisor.txt")), "node-1", now, collect(got)))
	require.Len(t, got, 1, "neither the pod's own cgroup, nor a container of which half is told")
	s := got["shop/web-1/app"]
	assert.InDelta(t, 1000, s.Periods, 0)
	assert.InDelta(t, 250, s.ThrottledPeriods, 0)
	assert.InDelta(t, 2, s.Kills, 0)
	assert.Equal(t, meter.Throttling|meter.Kills, s.Has)
}

func TestPressureOfACgroup2Kubelet(t *testing.T) {
	got := map[string]meter.Sample{}
	require.NoError(t, readSummary(strings.NewReader(file(t, "kubelet-summary-cgroup2.json")), "node-1", collect(got)))
	require.Len(t, got, 2)
	s := got["shop/web-1/app"]
	assert.Equal(t, "0b6f6a86-1d0a-4b43-9d63-000000000001", s.PodUID)
	assert.Equal(t, meter.CPU|meter.CPUCounter|meter.Memory|meter.Pressure, s.Has)
	assert.InDelta(t, 12.5, s.CPUSeconds, 1e-9)
	assert.InDelta(t, 90<<20, s.MemoryBytes, 0)
	assert.InDelta(t, 2.5, s.CPUWaiting, 1e-9)
	assert.InDelta(t, 1.5, s.MemoryWaiting, 1e-9)
	assert.InDelta(t, 0.5, s.IOWaiting, 1e-9)
	assert.Equal(t, time.Date(2027, 1, 15, 7, 0, 5, 0, time.UTC), s.Started)
	node := got["//"]
	assert.Equal(t, "node-1", node.Node)
	assert.InDelta(t, 7, node.CPUWaiting, 1e-9)
	assert.True(t, node.Started.IsZero())
}

func TestMetricsAPIInJSON(t *testing.T) {
	raw := `{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":[
	 {"metadata":{"name":"web-1","namespace":"shop"},"timestamp":"2027-01-15T08:00:00Z","window":"15s","containers":[
	  {"name":"app","usage":{"cpu":"12345678n","memory":"92160Ki"}},{"name":"empty","usage":{}}]}]}`
	got := map[string]meter.Sample{}
	require.NoError(t, readMetrics(decoder(t), []byte(raw), collect(got)))
	require.Len(t, got, 1)
	s := got["shop/web-1/app"]
	assert.Equal(t, meter.CPU|meter.Memory, s.Has)
	assert.InDelta(t, 12.345678, s.CPUMillis, 1e-9)
	assert.InDelta(t, 90<<20, s.MemoryBytes, 0)
	assert.Equal(t, 15*time.Second, s.Window)

	require.ErrorContains(t, readMetrics(decoder(t), []byte(`{"kind":"PodList","apiVersion":"v1"}`), collect(got)), "not a list of the metrics API")
}

func decoder(t testing.TB) runtime.Decoder {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, metricsv1beta1.AddToScheme(scheme))
	return serializer.NewCodecFactory(scheme).UniversalDeserializer()
}

func TestExpositionIsReadLineByLine(t *testing.T) {
	text := "wanted{a=\"x\\\"y\\\\\\n\",b=\"\"} +Inf\n" +
		"unwanted{{{{ broken\n" +
		"wanted 1.5 1800000000000\r\n" +
		"wanted{long=\"" + strings.Repeat("x", maxLine) + "\"} 1\n" + // skipped
		"# wanted 3\n\nwanted\t 2"
	var got []line
	require.NoError(t, expose(strings.NewReader(text), func(name []byte) bool { return string(name) == "wanted" }, func(l *line) error {
		got = append(got, line{name: nil, labels: nil, value: l.value, at: l.at})
		if len(got) == 1 {
			assert.Equal(t, "x\"y\\\n", l.label("a"))
			assert.Empty(t, l.label("b"))
			assert.Empty(t, l.label("c"))
		}
		return nil
	}))
	require.Len(t, got, 3)
	assert.Equal(t, int64(1_800_000_000_000), got[1].at.UnixMilli())
	assert.InDelta(t, 2, got[2].value, 0)

	for _, broken := range []string{"wanted", "wanted{", "wanted{a}", "wanted{a=\"x} 1", "wanted{a=\"\\", "wanted x", "wanted 1 y", "wanted 1 2 3"} {
		err := expose(strings.NewReader(broken), func([]byte) bool { return true }, func(*line) error { return nil })
		require.ErrorIs(t, err, errNoLine, broken)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	endless := strings.NewReader(strings.Repeat("wanted 1\n", 1000))
	err := expose(newBounded(endless, 100), func([]byte) bool { return true }, func(*line) error { return nil })
	require.ErrorIs(t, err, ErrTooLarge)
	err = expose(newBounded(strings.NewReader("wanted 1\n"), 9), func([]byte) bool { return true }, func(*line) error { return nil })
	require.NoError(t, err, "exactly as many are no more than that")

	var many strings.Builder
	for i := range maxContainers + 1 {
		many.WriteString("container_start_time_seconds{namespace=\"n\",pod=\"p\",container=\"c")
		many.WriteString(strings.Repeat("a", i%7))
		many.WriteString(time.Duration(i).String())
		many.WriteString("\"} 1\n")
	}
	require.ErrorIs(t, readResource(strings.NewReader(many.String()), "n", now, func(*meter.Sample) {}), ErrTooLarge)
}

// FuzzExposition sends garbage as a kubelet's metrics: samples or an error.
func FuzzExposition(f *testing.F) {
	f.Add(file(f, "kubelet-resource.txt"))
	f.Add(file(f, "kubelet-cadvisor.txt"))
	f.Add("container_memory_working_set_bytes{namespace=\"a\",pod=\"b\",container=\"c\\\"} NaN -9223372036854775808")
	f.Fuzz(func(t *testing.T, text string) {
		for _, read := range []func(func(*meter.Sample)) error{
			func(take func(*meter.Sample)) error { return readResource(strings.NewReader(text), "n", now, take) },
			func(take func(*meter.Sample)) error { return readThrottling(strings.NewReader(text), "n", now, take) },
		} {
			var m meter.Meter
			err := read(func(s *meter.Sample) {
				if s.Has == 0 {
					t.Fatal("an empty sample")
				}
				m.Take(s, 0, time.Minute, now, nil)
			})
			if err != nil && !errors.Is(err, errNoLine) && !errors.Is(err, ErrTooLarge) {
				t.Fatal(err)
			}
		}
	})
}

// FuzzSummary sends garbage as a kubelet's summary.
func FuzzSummary(f *testing.F) {
	f.Add(file(f, "kubelet-summary-cgroup2.json"))
	f.Add(`{"pods":[{"podRef":{"name":"p","namespace":"n"},"containers":[{"name":"c","memory":{"time":"2027-01-15T08:00:02Z","workingSetBytes":18446744073709551615}}]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var m meter.Meter
		err := readSummary(strings.NewReader(text), "n", func(s *meter.Sample) { m.Take(s, 0, time.Minute, now, nil) })
		if err != nil && !errors.Is(err, errNoSummary) && !errors.Is(err, ErrTooLarge) {
			var syntax interface{ Error() string }
			require.ErrorAs(t, err, &syntax)
		}
	})
}

// FuzzMetricsAPI sends garbage as a list of the metrics API, JSON or protobuf.
func FuzzMetricsAPI(f *testing.F) {
	f.Add([]byte(`{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","items":[{"metadata":{"name":"p"},"timestamp":"2027-01-15T08:00:00Z","containers":[{"name":"c","usage":{"cpu":"1e999"}}]}]}`))
	f.Add([]byte("k8s\x00\n\x2e\n\x16metrics.k8s.io/v1beta1\x12\x0ePodMetricsList"))
	d := decoder(f)
	f.Fuzz(func(_ *testing.T, raw []byte) {
		var m meter.Meter
		_ = readMetrics(d, raw, func(s *meter.Sample) { m.Take(s, 0, time.Minute, now, nil) })
	})
}
