package bustest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Start makes a bus and runs it until the test ends, which waits for it.
func Start(t testing.TB, o bus.Options) *bus.Bus {
	t.Helper()
	b, err := bus.New(o)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		assert.NoError(t, b.Run(ctx))
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return b
}

// Collected is what a reader got.
type Collected struct {
	// Messages are the delivered ones, in order.
	Messages []*rightsizerv1.StreamEventsResponse
	// Losses are the episodes, in order; Lost is their sum.
	Losses []*rightsizerv1.StreamLost
	Lost   int64
}

// Collect reads and acknowledges until the reader is at the position, all of
// what was filtered out included, or until ctx ends, which fails the test.
func Collect(ctx context.Context, t testing.TB, s *bus.Subscription, upTo string) Collected {
	t.Helper()
	var got Collected
	room := make([]*bus.Entry, 0, 128)
	for s.Position() != upTo {
		batch, err := s.Next(ctx, time.Millisecond, room)
		require.NoError(t, err)
		if batch.Lost != nil {
			got.Losses = append(got.Losses, batch.Lost)
			got.Lost += batch.Lost.GetCount()
		}
		for _, e := range batch.Entries {
			got.Messages = append(got.Messages, e.Message())
		}
		s.Ack(batch)
	}
	return got
}
