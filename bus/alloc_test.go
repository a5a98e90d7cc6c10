package bus_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/bus"
	"github.com/rightsizer/rightsizer/bus/bustest"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// busiest uses every field of a filter, and passes every event of the source.
func busiest() *bus.Filter {
	return bus.Compile(&rightsizerv1.EventFilter{
		EventTypes:  []string{"pod.*", "resource.exhaustion"},
		Namespaces:  []string{"production", "staging", "kube-system"},
		Severities:  []rightsizerv1.Severity{1, 2, 3, 4},
		Tags:        map[string]string{"qos": "Burstable"},
		Workloads:   []string{"Deployment/checkout", "catalogue", "payments"},
		Nodes:       []string{"node-a", "node-b", "node-c"},
		MinSeverity: rightsizerv1.Severity_SEVERITY_INFO,
	}, bus.Namespaces("production", "staging", "kube-system"))
}

// TestDeliveryAllocatesNothing counts over the whole process, the notifier
// included: reading, sleeping, waking and filtering are free of garbage, and an
// entry costs what it is made of.
func TestDeliveryAllocatesNothing(t *testing.T) {
	b := bustest.Start(t, bus.Options{Entries: 1024})
	source := bustest.NewSource(bustest.Options{})
	filter := busiest()
	held := make([]*rightsizerv1.Event, 512)
	for i := range held {
		held[i] = source.Event()
		require.True(t, filter.MatchesEvent(held[i]))
	}
	next := 0
	publish := func() {
		b.Publish(held[next%len(held)])
		next++
	}
	made := testing.AllocsPerRun(200, publish)
	assert.LessOrEqual(t, made, 4.0, "for an entry: itself, message, wrapper, position")

	room := make([]*bus.Entry, 0, 16)
	for name, f := range map[string]*bus.Filter{"everything": everything(), "the busiest filter": filter, "nothing passes": only("x.y")} {
		ready := b.Subscribe(f, "")
		assert.InDelta(t, made, testing.AllocsPerRun(200, func() {
			publish()
			ready.Ack(ready.Ready(room))
		}), 0, name)
		ready.Close()
	}
	assert.Zero(t, testing.AllocsPerRun(200, func() {
		for _, ev := range held[:16] {
			filter.MatchesEvent(ev)
		}
	}))
}

// TestWakingAllocatesNothing puts a reader to sleep and wakes it, again and again.
func TestWakingAllocatesNothing(t *testing.T) {
	b := bustest.Start(t, bus.Options{Entries: 1024})
	ev := bustest.NewSource(bustest.Options{}).Event()
	s := b.Subscribe(everything(), "")
	defer s.Close()
	other := b.Subscribe(only("x.y"), "") // a class that is judged in vain
	defer other.Close()
	got, done := make(chan struct{}), make(chan struct{})
	ctx := t.Context()
	const rounds = 500
	go func() {
		defer close(done)
		room := make([]*bus.Entry, 0, 16)
		for n := 0; n < rounds+1; {
			batch, err := s.Next(ctx, time.Hour, room)
			if !assert.NoError(t, err) {
				return
			}
			n += len(batch.Entries)
			s.Ack(batch)
			got <- struct{}{}
		}
	}()
	all := testing.AllocsPerRun(rounds, func() {
		b.Publish(ev)
		<-got
	})
	<-done
	assert.LessOrEqual(t, all, 4.0, "no more than Publish itself")
}
