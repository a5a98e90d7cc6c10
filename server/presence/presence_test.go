package presence_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"buf.build/go/protovalidate"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/presence"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is a running Presence, in a bubble, with what it told.
type room struct {
	*presence.Presence
	*testing.T

	registry *prometheus.Registry
	cluster  string

	mu   sync.Mutex
	told []*rightsizerv1.Event
}

// within runs body beside a Presence on fake time.
func within(t *testing.T, body func(r *room)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, "replica-1")
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { assert.NoError(t, r.Presence.Run(ctx)) })
		body(r)
		cancel()
		running.Wait()
	})
}

func newRoom(t *testing.T, replica string) *room {
	t.Helper()
	r := &room{T: t, registry: prometheus.NewRegistry(), cluster: "c1"}
	var err error
	r.Presence, err = presence.New(presence.Options{
		Cluster: func() string { return r.cluster }, Replica: replica, Registerer: r.registry,
		Publish: func(ev *rightsizerv1.Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.told = append(r.told, ev)
		},
	})
	require.NoError(t, err)
	return r
}

// after lets time pass and returns what was told until then, as `+alice` and `-alice`.
func (r *room) after(d time.Duration) string {
	r.Helper()
	time.Sleep(d)
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var words []string
	for _, ev := range r.told {
		assert.NoError(r, protovalidate.Validate(ev))
		sign := map[string]string{presence.Connected: "+", presence.Disconnected: "-"}[ev.GetType()]
		words = append(words, sign+ev.GetObject().GetName())
	}
	return strings.Join(words, " ")
}

// metric is the value of rightsizer_presence_NAME with a label's value, or of all.
func (r *room) metric(name, value string) float64 {
	r.Helper()
	families, err := r.registry.Gather()
	require.NoError(r, err)
	sum := 0.0
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "rightsizer_presence_"+name && (value == "" || m.GetLabel()[0].GetValue() == value) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func TestAStayIsToldOnceHoweverManyStreamsItHas(t *testing.T) {
	within(t, func(r *room) {
		first := r.Came("oidc", "alice", "websocket")
		second := r.Came("oidc", "alice", "grpc")
		assert.Equal(t, "+alice", r.after(time.Minute))
		first()
		assert.Equal(t, "+alice", r.after(time.Hour), "one is left")
		second()
		assert.Equal(t, "+alice", r.after(presence.Grace-time.Second))
		assert.Equal(t, "+alice -alice", r.after(time.Second))

		came, gone := r.told[0], r.told[1]
		assert.Equal(t, rightsizerv1.Severity_SEVERITY_INFO, came.GetSeverity())
		assert.Equal(t, rightsizerv1.Phase_PHASE_POINT, gone.GetPhase())
		assert.Equal(t, "User", came.GetObject().GetKind())
		assert.Empty(t, came.GetNamespace(), "it is of the cluster")
		assert.Equal(t, came.GetCorrelationId(), gone.GetCorrelationId())
		assert.NotEqual(t, came.GetId(), gone.GetId())
		assert.Equal(t, "oidc", came.GetDashboard().GetVia())
		assert.Equal(t, "websocket", gone.GetDashboard().GetProtocol())
		assert.EqualValues(t, 2, gone.GetDashboard().GetStreams())
		assert.Equal(t, time.Hour+time.Minute, gone.GetDashboard().GetDuration().AsDuration(), "to the end of the last stream, without the grace")
		assert.Equal(t, presence.Grace, gone.GetObservedTime().AsTime().Sub(gone.GetOccurredTime().AsTime()))
		assert.Equal(t, came.GetOccurredTime().AsTime(), gone.GetDashboard().GetSinceTime().AsTime())
	})
}

func TestWhoReconnectsWithinTheGraceWasNeverGone(t *testing.T) {
	within(t, func(r *room) {
		went := r.Came("static", "robot", "grpc")
		for range 50 {
			went()
			r.after(presence.Grace - time.Millisecond)
			went = r.Came("static", "robot", "grpc")
		}
		assert.Equal(t, "+robot", r.after(time.Hour))
		assert.EqualValues(t, 1, r.metric("events_total", presence.Connected))
		went()
		assert.Equal(t, "+robot -robot", r.after(presence.Grace))
		assert.EqualValues(t, 51, r.told[1].GetDashboard().GetStreams())
	})
}

func TestOneNameOfTwoWhoVouchIsTwo(t *testing.T) {
	within(t, func(r *room) {
		defer r.Came("oidc", "alice", "grpc")()
		defer r.Came("kubernetes", "alice", "grpc")()
		assert.Equal(t, "+alice +alice", r.after(0))
		assert.NotEqual(t, r.told[0].GetCorrelationId(), r.told[1].GetCorrelationId())
	})
}

// Who goes for longer than the grace again and again is told of at first, then once in
// a while, and each event says how often nothing was told. No end is told without its
// begin.
func TestWhoComesAndGoesInALoopIsHeldToARate(t *testing.T) {
	within(t, func(r *room) {
		const times = 600 // some five hours
		for range times {
			r.Came("oidc", "mallory", "websocket")()
			r.after(presence.Grace + time.Millisecond)
		}
		pairs := strings.Count(r.after(0), "+mallory")
		assert.Equal(t, pairs, strings.Count(r.after(0), "-mallory"))
		assert.InDelta(t, 4+10, pairs, 1, "4 at once, 2 an hour")
		assert.EqualValues(t, times-pairs, r.metric("untold_total", "identity"))
		told := 0
		for _, ev := range r.told {
			told += int(ev.GetDashboard().GetUntold())
		}
		r.after(time.Hour)
		defer r.Came("oidc", "bob", "grpc")()
		r.after(0)
		told += int(r.told[len(r.told)-1].GetDashboard().GetUntold())
		assert.Equal(t, times-pairs, told, "what was not told is told in number")
		assert.Contains(t, r.told[len(r.told)-1].GetMessage(), "bob reads events, by grpc")
	})
}

// Many together are held to a rate as well, and what is remembered of them is bounded:
// the one longest gone is forgotten, and who is there never is.
func TestManyAreBoundedInRateAndNumber(t *testing.T) {
	within(t, func(r *room) {
		stays := r.Came("oidc", "stays", "grpc")
		for i := range 3000 {
			r.Came("oidc", fmt.Sprint("user-", i), "websocket")()
		}
		assert.EqualValues(t, 64, r.metric("events_total", presence.Connected))
		assert.EqualValues(t, 3001-64, r.metric("untold_total", "all"))
		assert.EqualValues(t, 1024, r.metric("identities", ""))
		assert.EqualValues(t, 3001-1024, r.metric("forgotten_total", ""))
		assert.EqualValues(t, 63, r.metric("events_total", presence.Disconnected), "who is forgotten before the grace is over is told as gone")
		r.after(time.Hour)
		assert.NotContains(t, r.after(0), "-stays")
		stays()
		assert.Contains(t, r.after(presence.Grace), "-stays")
	})
}

func TestWhereAllThatMayBeKnownAreThereANewOneIsNotToldOf(t *testing.T) {
	within(t, func(r *room) {
		var all []func()
		for i := range 1024 {
			all = append(all, r.Came("oidc", fmt.Sprint("user-", i), "grpc"))
		}
		late := r.Came("oidc", "late", "grpc")
		assert.EqualValues(t, 1, r.metric("untold_total", "full"))
		late()
		all[7]()
		all[7] = r.Came("oidc", "next", "grpc") // in the place of who has no stream
		assert.EqualValues(t, 1, r.metric("untold_total", "full"))
		assert.EqualValues(t, 1, r.metric("forgotten_total", ""))
		assert.Contains(t, r.after(0), "-user-7")
		for _, went := range all {
			went()
		}
		assert.EqualValues(t, 1024, r.metric("identities", ""))
		r.after(time.Minute)
		assert.Empty(t, r.Told())
	})
}

func TestToldAreThoseWhoAreThere(t *testing.T) {
	within(t, func(r *room) {
		alice := r.Came("oidc", "alice", "grpc")
		r.after(time.Second)
		defer r.Came("oidc", "bob", "grpc")()
		require.Len(t, r.Told(), 2)
		assert.Same(t, r.told[0], r.Told()[0], "the events themselves, the first to come first")
		alice()
		r.after(time.Second)
		assert.Len(t, r.Told(), 2, "he may reconnect")
		r.after(presence.Grace)
		require.Len(t, r.Told(), 1)
		assert.Equal(t, "bob", r.Told()[0].GetObject().GetName())
	})
}

// Before the cluster has an id no event can be made; it is counted.
func TestNothingIsToldOfAClusterThatIsNotKnown(t *testing.T) {
	within(t, func(r *room) {
		r.cluster = ""
		went := r.Came("static", "robot", "grpc")
		r.cluster = "c1"
		went()
		assert.Empty(t, r.after(time.Hour))
		assert.EqualValues(t, 1, r.metric("untold_total", "cluster"))
	})
}

// Two replicas, or two lives of one, tell of the same in events of their own; what
// groups them is the same.
func TestReplicasDoNotShareIds(t *testing.T) {
	one, other := newRoom(t, "replica-1"), newRoom(t, "replica-2")
	one.Came("oidc", "alice", "grpc")
	other.Came("oidc", "alice", "grpc")
	assert.NotEqual(t, one.told[0].GetId(), other.told[0].GetId())
	assert.NotEqual(t, one.told[0].GetProblemId(), other.told[0].GetProblemId())
	assert.Equal(t, one.told[0].GetCorrelationId(), other.told[0].GetCorrelationId())
}

// Names of issuers have no bound but that of a header.
func TestALongNameIsCut(t *testing.T) {
	r := newRoom(t, "replica-1")
	r.Came("oidc", strings.Repeat("ä", 4000), "grpc")
	require.Len(t, r.told, 1)
	assert.NoError(t, protovalidate.Validate(r.told[0]))
	assert.True(t, strings.HasSuffix(r.told[0].GetObject().GetName(), "…"))
}

func TestWhatNamesTheFamily(t *testing.T) {
	for _, named := range [][]string{{presence.Connected}, {"pod.*", "dashboard.*"}, {"dashboard.disconnected"}} {
		assert.True(t, presence.Named(named), named)
	}
	for _, not := range [][]string{nil, {"pod.*"}, {"dashboards.x"}, {"dashboard"}} {
		assert.False(t, presence.Named(not), not)
	}
}

// From many goroutines at once the account is kept: for the race detector.
func TestManyAtOnce(t *testing.T) {
	within(t, func(r *room) {
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				for range 20 {
					r.Came("oidc", fmt.Sprint("user-", i%10), "grpc")()
					_ = r.Told()
				}
			})
		}
		all.Wait()
		r.after(2 * presence.Grace)
		assert.EqualValues(t, 10, r.metric("events_total", presence.Connected))
		assert.EqualValues(t, 10, r.metric("events_total", presence.Disconnected))
		assert.Empty(t, r.Told())
	})
}
