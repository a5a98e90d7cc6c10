package bus_test

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/bus"
	"github.com/rightsizer/rightsizer/bus/bustest"
)

// FuzzPosition resumes from anything: what this bus did not make is a reset.
func FuzzPosition(f *testing.F) {
	b, err := bus.New(bus.Options{Entries: 4})
	require.NoError(f, err)
	other, err := bus.New(bus.Options{Entries: 4})
	require.NoError(f, err)
	source := bustest.NewSource(bustest.Options{})
	made := map[string]bool{b.Newest(): true}
	for range 9 {
		b.Publish(source.Event())
		other.Publish(source.Event())
		made[b.Newest()] = true
	}
	for p := range made {
		f.Add(p)
		f.Add(p[:21] + "\n")
		f.Add(p + "\n")
		f.Add(p + "==")
		f.Add("A" + p[1:])
	}
	f.Add(other.Newest())
	f.Add("")
	f.Fuzz(func(t *testing.T, after string) {
		s := b.Subscribe(everything(), after)
		defer s.Close()
		assert.Equal(t, made[after], s.Start() != bus.Reset)
		if !made[after] {
			assert.Equal(t, b.Newest(), s.Position())
		}
	})
}

// TestPositionsAreOpaque: fixed length, within the schema's 64 bytes, and two
// neighbours share nothing that tells how far apart they are.
func TestPositionsAreOpaque(t *testing.T) {
	t.Parallel()
	b, err := bus.New(bus.Options{})
	require.NoError(t, err)
	source := bustest.NewSource(bustest.Options{})
	same, last := 0, make([]byte, 16)
	const n = 1000
	for range n {
		b.Publish(source.Event())
		p := b.Newest()
		require.Len(t, p, 22)
		raw, err := base64.RawURLEncoding.DecodeString(p)
		require.NoError(t, err)
		for i := range raw {
			if raw[i] == last[i] {
				same++
			}
		}
		copy(last, raw)
	}
	assert.InDelta(t, n*16/256, same, 40, "bytes that neighbours share, against chance")
}

// TestResume starts readers at every kind of position.
func TestResume(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, bus.Options{Entries: 4})
	source := bustest.NewSource(bustest.Options{Namespaces: []string{"a"}})
	first := b.Newest()
	for range 6 {
		b.Publish(source.Event())
	}
	held := b.Oldest()
	for name, c := range map[string]struct {
		after     string
		filter    *bus.Filter
		start     bus.Start
		got, lost int
	}{
		"no position":                   {"", everything(), bus.Reset, 0, 0},
		"the newest":                    {b.Newest(), everything(), bus.Resumed, 0, 0},
		"before the oldest held":        {held, everything(), bus.Resumed, 4, 0},
		"overwritten":                   {first, everything(), bus.Gap, 4, 2},
		"overwritten, but not for him":  {first, bus.Compile(nil, bus.Namespaces("b")), bus.Resumed, 0, 0},
		"overwritten, his namespace":    {first, bus.Compile(nil, bus.Namespaces("a")), bus.Gap, 4, 2},
		"overwritten, who sees nothing": {first, bus.Compile(nil, bus.Scope{}), bus.Resumed, 0, 0},
	} {
		s := b.Subscribe(c.filter, c.after)
		assert.Equal(t, c.start, s.Start(), name)
		got := bustest.Collect(t.Context(), t, s, b.Newest())
		assert.Len(t, got.Messages, c.got, name)
		assert.EqualValues(t, c.lost, got.Lost, name)
		if c.lost > 0 && assert.Len(t, got.Losses, 1, name) {
			assert.True(t, got.Losses[0].GetExact(), name)
			assert.Equal(t, first, got.Losses[0].GetFrom(), name)
			assert.Equal(t, held, got.Losses[0].GetTo(), name)
		}
		s.Close()
	}
}
