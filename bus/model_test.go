package bus_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// model is a bus beside the plainest account of what it must do: all that was
// ever published, by index from 1.
type model struct {
	bus       *bus.Bus
	remember  int
	published []*rightsizerv1.StreamEventsResponse
	index     map[string]int // of a position
	positions []string
	readers   []*modelReader
	lost      int64
}

// modelReader is a subscription beside its account.
type modelReader struct {
	sub  *bus.Subscription
	asks question
	at   int // considered up to here
	held []*bus.Entry
	lost int64
}

func newModel(t *rapid.T) *model {
	entries := 1 << rapid.IntRange(0, 5).Draw(t, "entries")
	m := &model{remember: entries << rapid.IntRange(1, 3).Draw(t, "remember"), index: make(map[string]int)}
	var err error
	m.bus, err = bus.New(bus.Options{
		Entries: entries, Remember: m.remember,
		Bytes: rapid.SampledFrom([]int64{1, 3_000, 10_000, 1 << 20}).Draw(t, "bytes"),
	})
	require.NoError(t, err)
	m.note()
	return m
}

// note remembers the position of the newest entry.
func (m *model) note() {
	m.index[m.bus.Newest()] = len(m.published)
	m.positions = append(m.positions, m.bus.Newest())
}

func (m *model) publish(t *rapid.T) {
	for range rapid.IntRange(1, 8).Draw(t, "burst") {
		msg := drawPublished(t)
		publish(m.bus, msg)
		m.published = append(m.published, msg)
		m.note()
	}
}

// overwritten is the index of the newest entry that the ring gave up.
func (m *model) overwritten(t *rapid.T) int {
	at, ok := m.index[m.bus.Oldest()]
	require.True(t, ok, "Oldest is not a position that Newest ever was")
	return at
}

func (m *model) subscribe(t *rapid.T) {
	r := &modelReader{asks: drawQuestion(t), at: len(m.published)}
	after, start := "", bus.Reset
	switch rapid.IntRange(0, 3).Draw(t, "after") {
	case 0:
		after = "AAAAAAAAAAAAAAAAAAAAAA"
	case 1:
	default:
		r.at = rapid.IntRange(0, len(m.published)).Draw(t, "from")
		after, start = m.positions[r.at], bus.Resumed
		if l := m.loss(r, m.overwritten(t)); l.sum > 0 || l.unsure || l.forgotten {
			start = bus.Gap
		}
	}
	r.sub = m.bus.Subscribe(r.asks.compile(), after)
	require.Equal(t, start, r.sub.Start())
	m.readers = append(m.readers, r)
}

// loss is what a reader at r.at loses when all up to `to` is overwritten.
type loss struct {
	sum       int64 // visible for certain
	matching  int64 // of those, and of the unclear, what the filter would pass
	unsure    bool  // an incident across namespaces is among them
	forgotten bool  // it reaches further back than the namespaces are remembered
}

func (m *model) loss(r *modelReader, to int) loss {
	var l loss
	for i := r.at + 1; i <= to; i++ {
		msg := m.published[i-1]
		switch r.asks.visibility(msg) {
		case visible:
			l.sum++
		case unclear:
			l.unsure = true
		case invisible:
		}
		if r.asks.takes(msg) {
			l.matching++
		}
		if i <= len(m.published)-m.remember+1 && len(m.published) >= m.remember && !r.asks.everywhere() {
			l.forgotten = true
		}
	}
	return l
}

// read checks one batch, word for word.
func (m *model) read(t *rapid.T, r *modelReader) {
	room := make([]*bus.Entry, 0, rapid.IntRange(1, 9).Draw(t, "room"))
	overwritten := m.overwritten(t)
	batch := r.sub.Ready(room)
	if r.at < overwritten {
		m.checkLoss(t, r, batch.Lost, overwritten)
		r.at = overwritten
	} else {
		require.Nil(t, batch.Lost, "a loss where nothing was overwritten")
	}
	r.held = batch.Entries
	for _, e := range batch.Entries {
		r.at++
		for !r.asks.takes(m.published[r.at-1]) {
			r.at++
		}
		require.Equal(t, m.positions[r.at], e.Position())
	}
	if len(batch.Entries) < cap(room) {
		for ; r.at < len(m.published); r.at++ {
			require.False(t, r.asks.takes(m.published[r.at]), "a matching entry is withheld")
		}
	}
	require.Equal(t, m.positions[r.at], r.sub.EndOf(batch))
	r.sub.Ack(batch)
	require.Equal(t, m.positions[r.at], r.sub.Position())
	lost, lag := r.sub.Progress()
	require.Equal(t, r.lost, lost)
	require.EqualValues(t, len(m.published)-r.at, lag)
	if unread := r.sub.Unread(); r.at == len(m.published) {
		require.Nil(t, unread)
	} else {
		require.Equal(t, m.positions[r.at+1], unread.Position())
	}
}

func (m *model) checkLoss(t *rapid.T, r *modelReader, told *rightsizerv1.StreamLost, to int) {
	want := m.loss(r, to)
	if want.sum == 0 && !want.unsure && !want.forgotten {
		require.Nil(t, told, "a loss of what the reader may not see")
		return
	}
	require.NotNil(t, told)
	require.Equal(t, m.positions[r.at], told.GetFrom())
	require.Equal(t, m.positions[to], told.GetTo())
	require.Equal(t, !r.asks.narrow() && !want.unsure && !want.forgotten, told.GetExact())
	if want.forgotten {
		require.LessOrEqual(t, told.GetCount(), want.sum)
	} else {
		require.Equal(t, want.sum, told.GetCount())
	}
	switch told.GetBound() {
	case rightsizerv1.LossBound_LOSS_BOUND_EXACT:
		require.Equal(t, want.matching, told.GetCount(), "exact means: what the filter would have passed")
	case rightsizerv1.LossBound_LOSS_BOUND_AT_MOST:
		require.LessOrEqual(t, want.matching, told.GetCount(), "at most")
	case rightsizerv1.LossBound_LOSS_BOUND_AT_LEAST:
		require.GreaterOrEqual(t, want.matching, told.GetCount(), "at least")
	case rightsizerv1.LossBound_LOSS_BOUND_ESTIMATE:
		require.True(t, r.asks.narrow() && (want.unsure || want.forgotten), "an estimate only where both reasons hold")
	default:
		require.Fail(t, "no bound", "%v", told)
	}
	require.Equal(t, told.GetBound() == rightsizerv1.LossBound_LOSS_BOUND_EXACT, told.GetExact())
	r.lost += told.GetCount()
	m.lost += told.GetCount()
}

// check holds what is true at any time.
func (m *model) check(t *rapid.T) {
	s := m.bus.Stats()
	require.EqualValues(t, len(m.published), s.Published)
	require.EqualValues(t, m.overwritten(t), s.Evicted)
	require.EqualValues(t, len(m.published)-m.overwritten(t), s.Entries)
	require.EqualValues(t, len(m.readers), s.Subscriptions)
	require.EqualValues(t, m.lost, s.Lost)
}

// TestBusKeepsAccount drives a bus through random schedules in one goroutine,
// where everything it says can be foretold: for every subscription, delivered +
// filtered + lost = published, in order, with the loss ahead of what follows it.
func TestBusKeepsAccount(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		reader := func(t *rapid.T) *modelReader {
			if len(m.readers) == 0 {
				t.Skip("no reader")
			}
			return rapid.SampledFrom(m.readers).Draw(t, "reader")
		}
		t.Repeat(map[string]func(*rapid.T){
			"publish":      m.publish,
			"publish more": m.publish,
			"subscribe":    m.subscribe,
			"read":         func(t *rapid.T) { m.read(t, reader(t)) },
			"read more":    func(t *rapid.T) { m.read(t, reader(t)) },
			"change the filter": func(t *rapid.T) {
				r := reader(t)
				r.asks = drawQuestion(t)
				r.sub.SetFilter(r.asks.compile())
			},
			"encode": func(t *rapid.T) {
				for _, e := range reader(t).held {
					size := rapid.IntRange(0, 3000).Draw(t, "size")
					_, err := e.Encoded(bus.FormatJSON, func(*rightsizerv1.StreamEventsResponse) ([]byte, error) { return make([]byte, size), nil })
					require.NoError(t, err)
				}
			},
			"close": func(t *rapid.T) {
				r := reader(t)
				r.sub.Close()
				r.sub.Close()
				for i := range m.readers {
					if m.readers[i] == r {
						m.readers = append(m.readers[:i], m.readers[i+1:]...)
						break
					}
				}
			},
			"": m.check,
		})
	})
}
