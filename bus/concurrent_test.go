package bus_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rightsizer/rightsizer/bus"
	"github.com/rightsizer/rightsizer/bus/bustest"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// TestEveryReaderKeepsAccountUnderLoad lets readers of random filters and paces
// read beside publishers, then holds each against all that was published.
func TestEveryReaderKeepsAccountUnderLoad(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		entries := 1 << rapid.IntRange(0, 6).Draw(t, "entries")
		b, err := bus.New(bus.Options{Entries: entries, Remember: 1 << 10, Bytes: rapid.SampledFrom([]int64{5_000, 1 << 20}).Draw(t, "bytes")})
		require.NoError(t, err)
		ctx, stop := context.WithTimeout(context.Background(), stalled)
		defer stop()
		run, end := context.WithCancel(context.Background())
		var notifier, publisher, readers sync.WaitGroup
		notifier.Go(func() { _ = b.Run(run) })
		defer notifier.Wait()
		defer end()

		messages := make([]*rightsizerv1.StreamEventsResponse, rapid.IntRange(1, 300).Draw(t, "messages"))
		for i := range messages {
			messages[i] = drawMessage(t)
		}
		start := b.Newest()
		var told []*account
		for range rapid.IntRange(1, 6).Draw(t, "readers") {
			a := &account{asks: drawQuestion(t), pace: rapid.IntRange(0, 3).Draw(t, "pace"), room: rapid.IntRange(1, 40).Draw(t, "room")}
			a.sub = b.Subscribe(a.asks.compile(), start)
			told = append(told, a)
		}
		positions := []string{start}
		finished := make(chan struct{})
		publisher.Go(func() {
			defer close(finished)
			for i, msg := range messages {
				publish(b, msg)
				positions = append(positions, b.Newest())
				if i%16 == 0 {
					runtime.Gosched()
				}
			}
		})
		for i, a := range told {
			readers.Go(func() { a.read(ctx, b, finished, uint64(i)) })
		}
		publisher.Wait()
		readers.Wait()
		for _, a := range told {
			a.check(t, messages, positions)
			a.sub.Close()
		}
		require.Zero(t, b.Stats().Subscriptions)
	})
}

// account is what one reader was told.
type account struct {
	asks       question
	sub        *bus.Subscription
	pace, room int
	err        error
	delivered  []string
	losses     []*rightsizerv1.StreamLost
	lossBefore []int // for each loss, how many entries came ahead of it
}

func (a *account) read(ctx context.Context, b *bus.Bus, finished <-chan struct{}, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 2))
	room := make([]*bus.Entry, 0, a.room)
	for {
		over := false
		select {
		case <-finished:
			over = a.sub.Position() == b.Newest()
		default:
		}
		if over {
			return
		}
		batch, err := a.sub.Next(ctx, time.Duration(random.IntN(200))*time.Microsecond, room)
		if err != nil {
			a.err = err
			return
		}
		if batch.Lost != nil {
			a.losses = append(a.losses, batch.Lost)
			a.lossBefore = append(a.lossBefore, len(a.delivered))
		}
		for _, e := range batch.Entries {
			a.delivered = append(a.delivered, e.Position())
		}
		a.sub.Ack(batch)
		for range a.pace {
			runtime.Gosched()
		}
	}
}

// check finds every message in exactly one place: delivered, filtered or lost.
func (a *account) check(t *rapid.T, messages []*rightsizerv1.StreamEventsResponse, positions []string) {
	require.NoError(t, a.err)
	index := make(map[string]int, len(positions))
	for i, p := range positions {
		index[p] = i
	}
	var want []string
	var sum int64
	losses := a.losses
	for i := 1; i < len(positions); i++ {
		for len(losses) > 0 && i > index[losses[0].GetTo()] {
			losses = losses[1:]
		}
		within := len(losses) > 0 && i > index[losses[0].GetFrom()]
		if !within && a.asks.wants(messages[i-1]) {
			want = append(want, positions[i])
		}
		if within && i == index[losses[0].GetFrom()]+1 {
			require.Len(t, want, a.lossBefore[len(a.losses)-len(losses)], "a loss goes ahead of what follows it")
		}
	}
	require.Equal(t, want, a.delivered)
	for _, l := range a.losses {
		sum += l.GetCount()
		var matching int64
		for i := index[l.GetFrom()] + 1; i <= index[l.GetTo()]; i++ {
			if a.asks.wants(messages[i-1]) {
				matching++
			}
		}
		switch l.GetBound() {
		case rightsizerv1.LossBound_LOSS_BOUND_EXACT:
			require.Equal(t, matching, l.GetCount(), "an exact loss is what the filter would have passed")
		case rightsizerv1.LossBound_LOSS_BOUND_AT_MOST:
			require.LessOrEqual(t, matching, l.GetCount())
		case rightsizerv1.LossBound_LOSS_BOUND_AT_LEAST:
			require.GreaterOrEqual(t, matching, l.GetCount())
		default:
		}
		if a.asks.narrow() {
			require.False(t, l.GetExact())
		}
	}
	lost, lag := a.sub.Progress()
	require.Equal(t, sum, lost)
	require.Zero(t, lag)
	if a.asks.everywhere() && !a.asks.narrow() {
		require.Len(t, messages, len(a.delivered)+int(sum), "delivered + lost = published")
	}
}

// TestManyGoroutinesShareABus does at once all that doc.go allows; the race
// detector judges.
func TestManyGoroutinesShareABus(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, bus.Options{Entries: 32, Bytes: 40_000})
	ctx, stop := context.WithCancel(t.Context())
	filters := []*bus.Filter{everything(), only("pod.*"), only("pod.oom_killed"), bus.Compile(nil, bus.Namespaces("staging"))}
	var writers, others sync.WaitGroup
	for i := range 6 {
		s := b.Subscribe(filters[i%len(filters)], "")
		others.Go(func() { // its goroutine
			defer s.Close()
			room := make([]*bus.Entry, 0, 8)
			for n := 0; ctx.Err() == nil; n++ {
				batch, err := s.Next(ctx, time.Duration(n%100)*time.Microsecond, room)
				if err != nil {
					break
				}
				for _, e := range batch.Entries {
					if _, err = e.Encoded(bus.FormatJSON, func(*rightsizerv1.StreamEventsResponse) ([]byte, error) { return make([]byte, 100), nil }); err != nil {
						t.Errorf("encode: %v", err)
					}
				}
				s.Ack(batch)
				if n%3 == 0 {
					s.SetFilter(filters[(i+n)%len(filters)])
				}
			}
		})
		others.Go(func() { // somebody who watches it
			for ctx.Err() == nil {
				lost, lag := s.Progress()
				assert.GreaterOrEqual(t, lost, int64(0))
				assert.GreaterOrEqual(t, lag, int64(0))
				assert.NotEmpty(t, s.Position())
				if e := s.Unread(); e != nil {
					assert.NotEmpty(t, e.Position())
				}
				runtime.Gosched()
			}
		})
	}
	others.Go(func() { // somebody who lists
		for ctx.Err() == nil {
			if _, err := b.Page(filters[1], "", b.Newest(), true, func(e *bus.Entry) bool { return e.Message() != nil }); err != nil {
				t.Errorf("a page up to the newest: %v", err)
			}
			stats := b.Stats()
			assert.GreaterOrEqual(t, stats.Entries, int64(0))
			assert.LessOrEqual(t, stats.Entries, int64(32))
			b.Subscribe(filters[2], b.Oldest()).Close()
		}
	})
	for i := range 2 {
		source := bustest.NewSource(bustest.Options{Seed: uint64(i)})
		writers.Go(func() {
			for range 3000 {
				b.Publish(source.Event())
			}
		})
	}
	writers.Wait()
	stop()
	others.Wait()
}
