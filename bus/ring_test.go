package bus_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rightsizer/rightsizer/bus"
	"github.com/rightsizer/rightsizer/bus/bustest"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func everything() *bus.Filter { return bus.Compile(nil, bus.AllNamespaces()) }

// stalled is how long a test waits for what must not wait.
const stalled = 10 * time.Second

func TestOptionsNameWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]bus.Options{
		"Entries is 3":       {Entries: 3},
		"Entries is -4":      {Entries: -4},
		"Entries is 2097152": {Entries: 1 << 21},
		"Bytes is -1":        {Bytes: -1},
		"Remember is 16":     {Entries: 16, Remember: 16},
		"Remember is 33":     {Entries: 16, Remember: 33},
	} {
		_, err := bus.New(o)
		require.ErrorContains(t, err, name)
	}
}

// TestPublishNeverWaitsForAReader stalls readers where they can stall: in an
// encoder, and between a batch and the next.
func TestPublishNeverWaitsForAReader(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, bus.Options{Entries: 4})
	source := bustest.NewSource(bustest.Options{})
	slow := b.Subscribe(everything(), "")
	defer slow.Close()
	b.Publish(source.Event())
	batch := slow.Ready(make([]*bus.Entry, 0, 1))
	require.Len(t, batch.Entries, 1)

	entered, release := make(chan struct{}), make(chan struct{})
	var encoding sync.WaitGroup
	encoding.Go(func() {
		_, err := batch.Entries[0].Encoded(bus.FormatJSON, func(*rightsizerv1.StreamEventsResponse) ([]byte, error) {
			close(entered)
			<-release
			return []byte("late"), nil
		})
		assert.NoError(t, err)
	})
	<-entered
	published := make(chan struct{})
	go func() {
		defer close(published)
		for range 100 {
			b.Publish(source.Event())
		}
	}()
	select {
	case <-published:
	case <-time.After(stalled):
		assert.Fail(t, "Publish waits for a reader")
	}
	close(release)
	encoding.Wait()
	<-published
}

// TestPublishersAreOrdered publishes from several goroutines: what each said
// comes in its order, and every position is met once.
func TestPublishersAreOrdered(t *testing.T) {
	t.Parallel()
	const publishers, each = 4, 500
	b := bustest.Start(t, bus.Options{Entries: 4096})
	s := b.Subscribe(everything(), "")
	defer s.Close()
	var all sync.WaitGroup
	for p := range publishers {
		all.Go(func() {
			for i := range each {
				b.Publish(&rightsizerv1.Event{
					Severity: rightsizerv1.Severity_SEVERITY_INFO,
					Details:  &rightsizerv1.Event_OomKilled{OomKilled: &rightsizerv1.OomKilledDetails{ExitCode: int32(p), Attempt: int32(i)}},
				})
			}
		})
	}
	all.Wait()
	got := bustest.Collect(t.Context(), t, s, b.Newest())
	require.Len(t, got.Messages, publishers*each)
	require.Empty(t, got.Losses)
	next := make(map[int32]int32)
	positions := make(map[string]bool)
	for _, msg := range got.Messages {
		killed := msg.GetEvent().GetOomKilled()
		require.Equal(t, next[killed.GetExitCode()], killed.GetAttempt())
		next[killed.GetExitCode()]++
		positions[msg.GetPosition()] = true
	}
	assert.Len(t, positions, publishers*each)
}

func TestEncodedIsMadeOnce(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, bus.Options{})
	b.Publish(bustest.NewSource(bustest.Options{}).Event())
	s := b.Subscribe(everything(), b.Oldest())
	defer s.Close()
	entry := s.Ready(make([]*bus.Entry, 0, 1)).Entries[0]

	broken := errors.New("broken")
	_, err := entry.Encoded(bus.FormatProto, func(*rightsizerv1.StreamEventsResponse) ([]byte, error) { return nil, broken })
	require.ErrorIs(t, err, broken, "a failure is not cached")
	var made int
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			got, err := entry.Encoded(bus.FormatProto, func(msg *rightsizerv1.StreamEventsResponse) ([]byte, error) {
				made++
				return []byte(msg.GetPosition()), nil
			})
			if err != nil {
				t.Errorf("encode: %v", err)
			}
			assert.Equal(t, entry.Position(), string(got))
		})
	}
	readers.Wait()
	assert.Equal(t, 1, made)
	other, err := entry.Encoded(bus.FormatWebSocket, func(*rightsizerv1.StreamEventsResponse) ([]byte, error) { return []byte("frame"), nil })
	require.NoError(t, err)
	assert.Equal(t, "frame", string(other), "each format has a cache of its own")
}

// TestBytesAreBounded fills the ring with entries, then their encodings: the
// budget holds throughout, and what is given up is counted back.
func TestBytesAreBounded(t *testing.T) {
	t.Parallel()
	const budget = 64 << 10
	b := bustest.Start(t, bus.Options{Bytes: budget})
	source := bustest.NewSource(bustest.Options{})
	for range 200 {
		b.Publish(source.Event())
		require.LessOrEqual(t, b.Stats().Bytes, int64(budget))
	}
	s := b.Subscribe(everything(), b.Oldest())
	defer s.Close()
	held := s.Ready(make([]*bus.Entry, 0, 256)).Entries
	require.Len(t, held, int(b.Stats().Entries))
	for _, e := range held {
		_, err := e.Encoded(bus.FormatJSON, func(*rightsizerv1.StreamEventsResponse) ([]byte, error) { return make([]byte, 2000), nil })
		require.NoError(t, err)
		require.LessOrEqual(t, b.Stats().Bytes, int64(budget), "encodings count without another Publish")
	}
	assert.Less(t, b.Stats().Entries, int64(len(held)))
	b.PublishIncident(&rightsizerv1.Incident{Summary: string(make([]byte, budget))})
	assert.EqualValues(t, 1, b.Stats().Entries, "the newest is kept whatever it costs")
	b.Publish(source.Event())
	assert.EqualValues(t, 1, b.Stats().Entries)
	assert.Less(t, b.Stats().Bytes, int64(4<<10), "all that was given up is counted back")
}

// TestBytesComeBackUnderConcurrentEncoding races encoders with the eviction of
// what they encode: the account ends even.
func TestBytesComeBackUnderConcurrentEncoding(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, bus.Options{Entries: 16, Bytes: 32 << 10})
	source := bustest.NewSource(bustest.Options{})
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		s := b.Subscribe(everything(), "")
		readers.Go(func() {
			defer s.Close()
			room := make([]*bus.Entry, 0, 4)
			for {
				batch, err := s.Next(ctx, time.Minute, room)
				if err != nil {
					return
				}
				for _, e := range batch.Entries {
					for f := bus.FormatProto; f <= bus.FormatWebSocket; f++ {
						_, err := e.Encoded(f, func(*rightsizerv1.StreamEventsResponse) ([]byte, error) { return make([]byte, 700), nil })
						assert.NoError(t, err)
					}
				}
			}
		})
	}
	for range 3000 {
		b.Publish(source.Event())
		if b.Stats().Published%64 == 0 {
			runtime.Gosched()
		}
	}
	stop()
	readers.Wait()
	for range 16 { // unencoded
		b.Publish(source.Event())
	}
	assert.InDelta(t, 16*1500, b.Stats().Bytes, 16*300)
}

// TestFootprintIsHonest compares the estimate with what the heap says.
func TestFootprintIsHonest(t *testing.T) {
	const n = 1 << 13
	b, err := bus.New(bus.Options{Entries: n, Bytes: 1 << 30, Remember: 2 * n})
	require.NoError(t, err)
	source := bustest.NewSource(bustest.Options{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range n {
		b.Publish(source.Event())
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	measured := float64(after.HeapAlloc-before.HeapAlloc) / n
	estimated := float64(b.Stats().Bytes) / n
	t.Logf("bytes an entry: %.0f measured, %.0f estimated", measured, estimated)
	assert.InEpsilon(t, measured, estimated, 0.25)
	runtime.KeepAlive(b)
}
