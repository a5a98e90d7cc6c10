package bustest_test

import (
	"testing"

	"buf.build/go/protovalidate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/rightsizer/rightsizer/bus"
	"github.com/rightsizer/rightsizer/bus/bustest"
)

func TestSourceMakesValidEvents(t *testing.T) {
	t.Parallel()
	source := bustest.NewSource(bustest.Options{Seed: 1})
	seen := make(map[string]bool)
	for range 200 {
		ev := source.Event()
		require.NoError(t, protovalidate.Validate(ev))
		require.False(t, seen[ev.GetId()])
		seen[ev.GetId()] = true
		assert.InDelta(t, 400, proto.Size(ev), 60, "bytes on the wire")
	}
	require.NoError(t, protovalidate.Validate(source.Incident("production", "staging")))
}

func TestCollectAccountsForEveryEntry(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, bus.Options{Entries: 8})
	s := b.Subscribe(bus.Compile(nil, bus.AllNamespaces()), "")
	defer s.Close()
	source := bustest.NewSource(bustest.Options{})
	for range 20 {
		b.Publish(source.Event())
	}
	got := bustest.Collect(t.Context(), t, s, b.Newest())
	assert.Len(t, got.Messages, 8)
	assert.Len(t, got.Losses, 1)
	assert.EqualValues(t, 12, got.Lost)
}
