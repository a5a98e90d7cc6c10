package bus_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/bus"
	"github.com/rightsizer/rightsizer/bus/bustest"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// turns is a context that counts how often Next looks at it: once each time it is
// about to sleep.
type turns struct {
	context.Context
	n atomic.Int64
}

func (c *turns) Err() error {
	c.n.Add(1)
	return c.Context.Err()
}

func only(types ...string) *bus.Filter {
	return bus.Compile(&rightsizerv1.EventFilter{EventTypes: types}, bus.AllNamespaces())
}

// TestReadersSleepThroughWhatIsNotTheirs publishes beside sleeping readers: who
// is not concerned sleeps on, and still is at the newest entry when asked.
func TestReadersSleepThroughWhatIsNotTheirs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := bustest.Start(t, bus.Options{Entries: 64})
		oom := bustest.NewSource(bustest.Options{Types: []string{"pod.oom_killed"}})
		loop := bustest.NewSource(bustest.Options{Types: []string{"pod.crash_loop"}})
		sleeper := b.Subscribe(only("pod.crash_loop"), "")
		defer sleeper.Close()
		ctx := &turns{Context: t.Context()}
		got := make(chan bus.Batch)
		next := func() {
			batch, err := sleeper.Next(ctx, time.Hour, make([]*bus.Entry, 0, 8))
			assert.NoError(t, err)
			got <- batch
		}
		go next()
		for range 1000 { // far more than the ring holds
			b.Publish(oom.Event())
			synctest.Wait()
		}
		assert.EqualValues(t, 1, ctx.n.Load(), "woken for what the filter leaves out")
		lost, lag := sleeper.Progress()
		assert.Zero(t, lost, "nothing is lost to a reader who sleeps through what is not his")
		assert.Zero(t, lag, "judged on his behalf")

		b.Publish(loop.Event())
		batch := <-got
		require.Len(t, batch.Entries, 1)
		assert.Nil(t, batch.Lost)
		assert.Equal(t, b.Newest(), sleeper.EndOf(batch))
		assert.EqualValues(t, 1, ctx.n.Load())

		for range 50 {
			b.Publish(oom.Event())
		}
		go next()
		time.Sleep(time.Hour) // synctest's clock
		batch = <-got
		assert.True(t, batch.Idle(), "an idle batch after the idle time")
		assert.Equal(t, b.Newest(), sleeper.EndOf(batch), "which moves the position over what was filtered out")
	})
}

// TestIdleComesOnTime holds Next to its idle time, on fake time.
func TestIdleComesOnTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := bustest.Start(t, bus.Options{})
		source := bustest.NewSource(bustest.Options{})
		s := b.Subscribe(everything(), "")
		defer s.Close()
		room := make([]*bus.Entry, 0, 8)
		for range 3 { // the timer is used again
			began := time.Now()
			batch, err := s.Next(t.Context(), 15*time.Second, room)
			require.NoError(t, err)
			assert.True(t, batch.Idle())
			assert.Equal(t, 15*time.Second, time.Since(began))

			time.AfterFunc(4*time.Second, func() { b.Publish(source.Event()) })
			batch, err = s.Next(t.Context(), 15*time.Second, room)
			require.NoError(t, err)
			assert.Len(t, batch.Entries, 1)
			assert.Equal(t, 19*time.Second, time.Since(began), "an entry ends the wait at once")
		}
		batch, err := s.Next(t.Context(), 0, room)
		require.NoError(t, err)
		assert.True(t, batch.Idle())
	})
}

// TestLingerBatchesUnderLoad measures what the pause between rounds of waking
// costs: nothing after silence, at most 5 ms under load.
func TestLingerBatchesUnderLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := bustest.Start(t, bus.Options{})
		source := bustest.NewSource(bustest.Options{})
		ctx, stop := context.WithCancel(t.Context())
		var readers sync.WaitGroup
		var late atomic.Int64 // the longest an entry took, in ns
		var published atomic.Int64
		for range 300 {
			s := b.Subscribe(everything(), "")
			readers.Go(func() {
				defer s.Close()
				room := make([]*bus.Entry, 0, 8)
				for {
					if _, err := s.Next(ctx, time.Hour, room); err != nil {
						return
					}
					late.Store(max(late.Load(), time.Now().UnixNano()-published.Load()))
				}
			})
		}
		send := func() time.Duration {
			synctest.Wait()
			late.Store(0)
			published.Store(time.Now().UnixNano())
			b.Publish(source.Event())
			time.Sleep(time.Second / 100) // synctest's clock
			synctest.Wait()
			return time.Duration(late.Load())
		}
		assert.Zero(t, send(), "the first entry after silence is not held back")
		time.Sleep(time.Minute)
		assert.Zero(t, send())
		b.Publish(source.Event())
		synctest.Wait() // the notifier lingers now
		late.Store(0)
		published.Store(time.Now().UnixNano())
		b.Publish(source.Event())
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, 5*time.Millisecond, time.Duration(late.Load()))
		stop()
		readers.Wait()
	})
}

// TestEndOfTheBus ends Run beside sleeping readers: each is told, after what is
// left.
func TestEndOfTheBus(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, err := bus.New(bus.Options{})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		run := make(chan error)
		go func() { run <- b.Run(ctx) }()
		s := b.Subscribe(everything(), "")
		defer s.Close()
		ended := make(chan error)
		go func() {
			_, err := s.Next(t.Context(), time.Hour, make([]*bus.Entry, 0, 1))
			ended <- err
		}()
		synctest.Wait()
		stop()
		require.NoError(t, <-run)
		require.ErrorIs(t, <-ended, bus.ErrClosed)

		b.Publish(bustest.NewSource(bustest.Options{}).Event())
		batch, err := s.Next(t.Context(), time.Hour, make([]*bus.Entry, 0, 1))
		require.NoError(t, err)
		assert.Len(t, batch.Entries, 1)
		_, err = s.Next(t.Context(), time.Hour, make([]*bus.Entry, 0, 1))
		require.ErrorIs(t, err, bus.ErrClosed)
	})
}

func TestNextEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := bustest.Start(t, bus.Options{})
		s := b.Subscribe(everything(), "")
		defer s.Close()
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		batch, err := s.Next(ctx, time.Hour, make([]*bus.Entry, 0, 1))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, b.Newest(), s.EndOf(batch))
		_, err = s.Next(ctx, time.Hour, make([]*bus.Entry, 0, 1))
		require.ErrorIs(t, err, context.DeadlineExceeded)

		b.Publish(bustest.NewSource(bustest.Options{}).Event())
		batch, err = s.Next(t.Context(), time.Hour, nil)
		require.NoError(t, err)
		assert.Len(t, batch.Entries, 1, "without room there is room for one")
	})
}

// TestNoWakeUpIsLost races one entry at a time with a reader who falls asleep:
// were a wake-up lost, an entry would wait for the idle time, which is forever.
func TestNoWakeUpIsLost(t *testing.T) {
	t.Parallel()
	const rounds, readers = 3000, 3
	b := bustest.Start(t, bus.Options{Entries: 16})
	source := bustest.NewSource(bustest.Options{Types: []string{"pod.oom_killed"}})
	other := bustest.NewSource(bustest.Options{Types: []string{"pod.crash_loop"}})
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	got := make(chan struct{}, readers)
	var all sync.WaitGroup
	for i := range readers {
		s := b.Subscribe(only("pod.oom_killed"), "")
		random := rand.New(rand.NewPCG(uint64(i), 1))
		all.Go(func() {
			defer s.Close()
			room := make([]*bus.Entry, 0, 4)
			for n := 0; n < rounds; {
				idle := time.Hour
				if random.IntN(4) == 0 { // some time out just as they are woken
					idle = time.Duration(random.IntN(20)) * time.Microsecond
				}
				batch, err := s.Next(ctx, idle, room)
				if err != nil {
					t.Errorf("asleep beside an entry, after %d rounds: %v", n, err)
					return
				}
				assert.Nil(t, batch.Lost)
				for range batch.Entries {
					n++
					got <- struct{}{}
				}
			}
		})
	}
	for range rounds {
		b.Publish(other.Event())
		b.Publish(source.Event())
		for range readers {
			select {
			case <-got:
			case <-ctx.Done():
			}
		}
	}
	all.Wait()
}
