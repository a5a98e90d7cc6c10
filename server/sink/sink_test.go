package sink_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/bus"
	"github.com/rightsizer/rightsizer/bus/bustest"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/sink"
)

// endpoint answers as the test says, and keeps what it was given.
type endpoint struct {
	answer func(e sink.Event, attempt int) error
	slow   time.Duration

	mu       sync.Mutex
	attempts map[string]int
	took     []sink.Event // delivered, in order
	tried    []time.Time
	flying   int
	most     int
}

func (e *endpoint) Deliver(ctx context.Context, event sink.Event) error {
	e.mu.Lock()
	if e.attempts == nil {
		e.attempts = map[string]int{}
	}
	e.attempts[event.ID]++
	attempt := e.attempts[event.ID]
	e.tried = append(e.tried, time.Now())
	e.flying++
	e.most = max(e.most, e.flying)
	e.mu.Unlock()
	if e.slow > 0 {
		select {
		case <-time.After(e.slow):
		case <-ctx.Done():
		}
	}
	var err error
	if e.answer != nil {
		err = e.answer(event, attempt)
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.flying--
	if err == nil {
		e.took = append(e.took, event)
	}
	return err
}

func (e *endpoint) delivered() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var ids []string
	for _, event := range e.took {
		ids = append(ids, event.ID)
	}
	return ids
}

// answered is an error as outbound's.
type answered struct {
	after time.Duration
	again bool
}

func (a answered) Error() string                { return fmt.Sprintf("answered, again: %t", a.again) }
func (a answered) Retry() (time.Duration, bool) { return a.after, a.again }

// bubble is a running bus and sink within a synctest bubble.
type bubble struct {
	t    *testing.T
	bus  *bus.Bus
	sink *sink.Sink
	reg  *prometheus.Registry
	stop func()
	n    int
}

func start(t *testing.T, e *endpoint, change func(*sink.Options)) *bubble {
	t.Helper()
	b, err := bus.New(bus.Options{Entries: 64, Bytes: 1 << 20})
	require.NoError(t, err)
	reg := prometheus.NewRegistry()
	metrics, err := sink.NewMetrics(reg)
	require.NoError(t, err)
	o := sink.Options{
		Name: "pager", Bus: b, Filter: bus.Compile(nil, bus.AllNamespaces()), Endpoint: e, Logger: slog.New(slog.DiscardHandler), Metrics: metrics,
		Cluster: func() string { return "c1" },
	}
	if change != nil {
		change(&o)
	}
	s, err := sink.New(o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var parts sync.WaitGroup
	parts.Go(func() { _ = b.Run(ctx) })
	parts.Go(func() { _ = s.Run(ctx) })
	stop := sync.OnceFunc(func() {
		cancel()
		parts.Wait()
	})
	t.Cleanup(stop)
	return &bubble{t: t, bus: b, sink: s, reg: reg, stop: stop}
}

// publish publishes an event of a problem and returns its id.
func (b *bubble) publish(problem string) string {
	ev := bustest.NewSource(bustest.Options{Seed: uint64(b.n)}).Event()
	ev.Id, ev.ProblemId = fmt.Sprintf("%s-%d", problem, b.n), problem
	b.n++
	b.bus.Publish(ev)
	return ev.GetId()
}

// within runs a test on fake time.
func within(t *testing.T, run func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, run)
}

func TestEventsArriveAsCloudEvents(t *testing.T) {
	within(t, func(t *testing.T) {
		e := &endpoint{}
		b := start(t, e, nil)
		ev := bustest.NewSource(bustest.Options{Namespaces: []string{"shop"}, Types: []string{"pod.oom_killed"}}).Event()
		b.bus.Publish(ev)
		b.bus.PublishIncident(bustest.NewSource(bustest.Options{}).Incident("shop"))
		b.bus.Resync(&rightsizerv1.StreamResync{Scope: "pods", Reason: "410"})
		b.bus.Synced()
		synctest.Wait()
		e.mu.Lock()
		defer e.mu.Unlock()
		require.Len(t, e.took, 3)
		slices.SortFunc(e.took, func(a, b sink.Event) int { return strings.Compare(a.Type, b.Type) })
		incident, got, resync := e.took[0], e.took[1], e.took[2]
		assert.Equal(t, "dev.rightsizer.pod.oom_killed", got.Type)
		assert.Equal(t, ev.GetId(), got.ID)
		assert.Equal(t, "/clusters/"+ev.GetCluster(), got.Source)
		assert.Equal(t, "shop/Pod/"+ev.GetObject().GetName(), got.Subject)
		var data map[string]any
		require.NoError(t, json.Unmarshal(got.Data, &data))
		assert.Equal(t, "pod.oom_killed", data["type"])
		assert.Contains(t, []string{"info", "warning", "error", "critical"}, data["severity"])
		assert.Equal(t, "dev.rightsizer.incident", incident.Type)
		assert.Equal(t, "dev.rightsizer.stream.resync", resync.Type)
		assert.Equal(t, "/clusters/c1", resync.Source)
		assert.EqualValues(t, 3, b.sink.Ledger().Sent)
	})
}

// What was published before Run is not missing.
func TestNothingIsMissingThatCameAfterNew(t *testing.T) {
	within(t, func(t *testing.T) {
		e := &endpoint{}
		b, err := bus.New(bus.Options{Entries: 64, Bytes: 1 << 20})
		require.NoError(t, err)
		s, err := sink.New(sink.Options{Name: "x", Bus: b, Filter: bus.Compile(nil, bus.AllNamespaces()), Endpoint: e, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		b.Publish(bustest.NewSource(bustest.Options{}).Event())
		ctx, cancel := context.WithCancel(t.Context())
		var parts sync.WaitGroup
		parts.Go(func() { _ = b.Run(ctx) })
		parts.Go(func() { _ = s.Run(ctx) })
		synctest.Wait()
		assert.Len(t, e.delivered(), 1)
		cancel()
		parts.Wait()
	})
}

func TestOneProblemInOrderOthersBeside(t *testing.T) {
	within(t, func(t *testing.T) {
		e := &endpoint{slow: time.Second}
		// The first event of problem a fails three times.
		e.answer = func(event sink.Event, attempt int) error {
			if event.ID == "a-0" && attempt <= 3 {
				return answered{again: true}
			}
			return nil
		}
		b := start(t, e, nil)
		var ofA []string
		for range 3 {
			ofA = append(ofA, b.publish("a"))
			for _, other := range []string{"b", "c", "d", "e", "f"} {
				b.publish(other)
			}
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		got := e.delivered()
		require.Len(t, got, 18)
		for _, problem := range []string{"a", "b", "c", "d", "e", "f"} {
			var of []string
			for _, id := range got {
				if strings.HasPrefix(id, problem+"-") {
					of = append(of, id)
				}
			}
			assert.True(t, slices.IsSortedFunc(of, func(x, y string) int {
				var i, j int
				_, _ = fmt.Sscanf(x[2:], "%d", &i)
				_, _ = fmt.Sscanf(y[2:], "%d", &j)
				return i - j
			}), "%s: %v", problem, of)
		}
		assert.Equal(t, ofA[2], got[len(got)-1], "the others did not wait for problem a")
		assert.Equal(t, 4, e.most, "four at a time")
		l := b.sink.Ledger()
		assert.EqualValues(t, 18, l.Sent)
		assert.EqualValues(t, 3, l.Retries)
		assert.Zero(t, l.Waiting)
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	within(t, func(t *testing.T) {
		e := &endpoint{answer: func(_ sink.Event, attempt int) error {
			if attempt == 1 {
				return answered{after: 42 * time.Second, again: true}
			}
			return nil
		}}
		b := start(t, e, nil)
		b.publish("a")
		synctest.Wait()
		h := b.sink.Health()
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_DEGRADED, h.GetState())
		assert.Equal(t, "sink/pager", h.GetComponent())
		assert.Contains(t, h.GetReason(), "1 events wait")
		b.publish("b") // the endpoint wants quiet from all
		time.Sleep(41 * time.Second)
		synctest.Wait()
		assert.Empty(t, e.delivered())
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		assert.Len(t, e.delivered(), 2)
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, b.sink.Health().GetState())
		assert.GreaterOrEqual(t, e.tried[1].Sub(e.tried[0]), 42*time.Second)
	})
}

// An endpoint that is down is asked ever more rarely, one event at a time, however
// many wait; it gets them all when it is back.
func TestAnEndpointThatIsDownIsNotOverrun(t *testing.T) {
	within(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		e := &endpoint{answer: func(sink.Event, int) error {
			if down.Load() {
				return errors.New("connection refused")
			}
			return nil
		}}
		b := start(t, e, nil)
		for i := range 50 {
			b.publish(fmt.Sprintf("p%d", i))
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		e.mu.Lock()
		attempts := len(e.tried)
		e.mu.Unlock()
		assert.Less(t, attempts, 40, "10 min at 30 s, and the first few")
		assert.Greater(t, attempts, 15)
		assert.EqualValues(t, 50, b.sink.Ledger().Waiting)
		down.Store(false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		assert.Len(t, e.delivered(), 50)
	})
}

func TestWhatIsRefusedOrTooOldIsGivenUp(t *testing.T) {
	within(t, func(t *testing.T) {
		e := &endpoint{answer: func(event sink.Event, _ int) error {
			switch {
			case strings.HasPrefix(event.ID, "bad"):
				return answered{again: false}
			case strings.HasPrefix(event.ID, "never"):
				return answered{again: true}
			default:
				return nil
			}
		}}
		b := start(t, e, func(o *sink.Options) { o.GiveUpAfter = 5 * time.Minute })
		b.publish("bad")
		b.publish("never")
		last := b.publish("never")
		time.Sleep(4 * time.Minute)
		good := b.publish("good")
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, []string{good}, e.delivered())
		l := b.sink.Ledger()
		assert.EqualValues(t, 3, l.Failed)
		assert.Zero(t, l.Waiting)
		assert.Equal(t, 1, e.attempts["bad-0"], "refused for good")
		assert.Positive(t, e.attempts[last])
		assert.Contains(t, b.sink.Health().GetReason(), "3 failed")
		assert.InDelta(t, 3, sample(t, b.reg, "failed"), 0)
	})
}

// What the ring overwrote while the endpoint was down is counted, exactly, and told.
func TestALossIsCountedAndTold(t *testing.T) {
	within(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		e := &endpoint{answer: func(sink.Event, int) error {
			if down.Load() {
				return errors.New("connection refused")
			}
			return nil
		}}
		b := start(t, e, func(o *sink.Options) { o.Queue = 16; o.GiveUpAfter = time.Hour })
		const published = 300
		for i := range published {
			b.publish(fmt.Sprintf("p%d", i))
			synctest.Wait()
		}
		down.Store(false)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		l := b.sink.Ledger()
		assert.Positive(t, l.Dropped)
		var told struct {
			Count string `json:"count"`
			Exact bool   `json:"exact"`
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		at := slices.IndexFunc(e.took, func(event sink.Event) bool { return event.Type == "dev.rightsizer.stream.lost" })
		require.GreaterOrEqual(t, at, 0, "the endpoint is told")
		require.NoError(t, json.Unmarshal(e.took[at].Data, &told))
		assert.Equal(t, strconv.FormatInt(l.Dropped, 10), told.Count)
		assert.True(t, told.Exact)
		assert.EqualValues(t, published, l.Sent-1+l.Dropped, "delivered and dropped are all")
	})
}

func TestWhatWaitsAtTheEndIsCounted(t *testing.T) {
	within(t, func(t *testing.T) {
		e := &endpoint{slow: time.Hour}
		b := start(t, e, nil)
		for i := range 10 {
			b.publish(fmt.Sprintf("p%d", i))
		}
		synctest.Wait()
		b.stop()
		assert.EqualValues(t, 10, b.sink.Ledger().Dropped)
		assert.Zero(t, b.sink.Ledger().Sent)
	})
}

func TestOptionsThatLackSomething(t *testing.T) {
	_, err := sink.New(sink.Options{Name: "x"})
	require.ErrorContains(t, err, "must be set")
}

// sample is the value of a sample of rightsizer_sink_events_total.
func sample(t *testing.T, reg *prometheus.Registry, result string) float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, label := range m.GetLabel() {
				if f.GetName() == "rightsizer_sink_events_total" && label.GetValue() == result {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	require.Fail(t, "no such sample", result)
	return 0
}
