package bus_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/bus"
	"github.com/rightsizer/rightsizer/bus/bustest"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// To whoever is not trusted with it, what is confidential was never published: he does
// not get it, is not told of it in a loss, and has no gap for it. A scope of some
// namespaces is never trusted.
func TestWhatIsConfidentialIsForThoseAloneWhoseScopeSaysSo(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, bus.Options{Entries: 4})
	source := bustest.NewSource(bustest.Options{Namespaces: []string{"a"}})
	first := b.Newest()
	hidden := func(n int) {
		for range n {
			ev := source.Event()
			ev.Namespace, ev.Type = "", secretType
			b.PublishConfidential(ev)
		}
	}
	all, trusted := bus.AllNamespaces(), bus.AllNamespaces().WithConfidential()
	named := bus.Namespaces("a", "").WithConfidential()
	assert.True(t, trusted.Confidential())
	assert.False(t, all.Confidential() || named.Confidential())

	got := func(scope bus.Scope, filter *rightsizerv1.EventFilter, after string) (bus.Start, int, int64, bool) {
		s := b.Subscribe(bus.Compile(filter, scope), after)
		defer s.Close()
		all := bustest.Collect(t.Context(), t, s, b.Newest())
		exact := true
		for _, lost := range all.Losses {
			exact = exact && lost.GetExact()
		}
		return s.Start(), len(all.Messages), all.Lost, exact
	}
	expect := func(scope bus.Scope, filter *rightsizerv1.EventFilter, start bus.Start, messages int, lost int64) {
		t.Helper()
		began, n, missed, exact := got(scope, filter, first)
		assert.Equal(t, start, began)
		assert.Equal(t, messages, n)
		assert.Equal(t, lost, missed)
		assert.True(t, exact)
	}
	hidden(7) // of which 3 are overwritten
	expect(trusted, nil, bus.Gap, 4, 3)
	expect(all, nil, bus.Resumed, 0, 0)
	expect(named, nil, bus.Resumed, 0, 0)
	expect(all, &rightsizerv1.EventFilter{EventTypes: []string{secretType}}, bus.Resumed, 0, 0)

	b.Publish(source.Event())
	hidden(4) // 8 of all are overwritten, one of them anybody's
	expect(trusted, nil, bus.Gap, 4, 8)
	expect(all, nil, bus.Gap, 0, 1)
	expect(bus.Namespaces("a"), nil, bus.Gap, 0, 1)
	expect(bus.Namespaces("b"), nil, bus.Resumed, 0, 0)
}

// Beyond what is remembered of it, a loss is said to be at least what is certain.
func TestALossBeyondWhatIsRememberedOfConfidentialEntriesIsAtLeast(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, bus.Options{Entries: 4})
	source := bustest.NewSource(bustest.Options{Namespaces: []string{"a"}})
	s := b.Subscribe(everything(), "")
	defer s.Close()
	const plain, confidential = 100, 1024 + 50
	for range plain {
		b.Publish(source.Event())
	}
	for range confidential {
		b.PublishConfidential(source.Event())
	}
	batch := s.Ready(make([]*bus.Entry, 4))
	require.NotNil(t, batch.Lost)
	assert.Equal(t, rightsizerv1.LossBound_LOSS_BOUND_AT_LEAST, batch.Lost.GetBound())
	assert.LessOrEqual(t, batch.Lost.GetCount(), int64(plain))
	assert.GreaterOrEqual(t, batch.Lost.GetCount(), int64(plain-50), "each that is forgotten may have been one of them")
	assert.False(t, batch.Lost.GetExact())
	assert.Empty(t, batch.Entries)
	for range 10 {
		b.Publish(source.Event())
	}
	batch = s.Ready(make([]*bus.Entry, 4))
	assert.EqualValues(t, 6, batch.Lost.GetCount())
	assert.True(t, batch.Lost.GetExact(), "what is remembered is exact again")
}
