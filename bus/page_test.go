package bus_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rightsizer/rightsizer/bus"
	"github.com/rightsizer/rightsizer/bus/bustest"
)

// walk pages through the bus, calling between before each further page, and
// returns what it visited and how many pages that took.
func walk(t require.TestingT, b *bus.Bus, f *bus.Filter, upTo string, newestFirst bool, size int, between func()) (seen []string, pages int) {
	from := ""
	for {
		on := 0
		next, err := b.Page(f, from, upTo, newestFirst, func(e *bus.Entry) bool {
			seen = append(seen, e.Position())
			on++
			return on < size
		})
		require.NoError(t, err)
		require.LessOrEqual(t, on, size)
		pages++
		if next == "" {
			return seen, pages
		}
		require.Equal(t, size, on, "a page that is not the last is full")
		from = next
		between()
	}
}

func TestPagesVisitEachMatchOnceWhilePublishing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b, err := bus.New(bus.Options{Entries: 256})
		require.NoError(t, err)
		q := drawQuestion(t)
		var want []string
		for range rapid.IntRange(0, 40).Draw(t, "published") {
			msg := drawPublished(t)
			publish(b, msg)
			if q.takes(msg) {
				want = append(want, b.Newest())
			}
		}
		newestFirst := rapid.Bool().Draw(t, "newest first")
		size := rapid.IntRange(1, 10).Draw(t, "size")
		source := bustest.NewSource(bustest.Options{})
		got, pages := walk(t, b, q.compile(), b.Newest(), newestFirst, size, func() { b.Publish(source.Event()) })
		if newestFirst {
			for i, j := 0, len(want)-1; i < j; i, j = i+1, j-1 {
				want[i], want[j] = want[j], want[i]
			}
		}
		require.Equal(t, want, got)
		require.Equal(t, max(1, (len(want)+size-1)/size), pages, "no page is empty but the only one")
	})
}

func TestPageBeforeTheFirstEntryIsEmpty(t *testing.T) {
	t.Parallel()
	b, err := bus.New(bus.Options{})
	require.NoError(t, err)
	start := b.Oldest()
	b.Publish(bustest.NewSource(bustest.Options{}).Event())
	next, err := b.Page(bus.Compile(nil, bus.AllNamespaces()), start, "", true, func(*bus.Entry) bool {
		assert.Fail(t, "nothing is before the first entry")
		return true
	})
	require.NoError(t, err)
	assert.Empty(t, next)
}

func TestPageRefusesForeignPositions(t *testing.T) {
	t.Parallel()
	b, err := bus.New(bus.Options{})
	require.NoError(t, err)
	other, err := bus.New(bus.Options{})
	require.NoError(t, err)
	all := bus.Compile(nil, bus.AllNamespaces())
	for _, foreign := range []string{"x", other.Newest(), b.Newest() + "="} {
		_, err = b.Page(all, foreign, "", false, nil)
		require.ErrorIs(t, err, bus.ErrPosition)
		_, err = b.Page(all, "", foreign, false, nil)
		require.ErrorIs(t, err, bus.ErrPosition)
	}
}
