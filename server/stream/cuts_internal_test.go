package stream

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// A session that lasts remembers of incidents about as many as there are, not as many
// as there were; and of those that there are, what it was shown.
func TestCutsOfIncidentsThatAreGoneAreForgotten(t *testing.T) {
	t.Parallel()
	var c cuts
	known := make(map[string]struct{})
	ids := func() map[string]struct{} { return known }
	lasting := &rightsizerv1.Incident{Id: "lasting"}
	known["lasting"] = struct{}{}
	assert.True(t, c.fresh(lasting, ids))
	for n := range 10 * maxCuts {
		id := strconv.Itoa(n)
		known[id] = struct{}{}
		delete(known, strconv.Itoa(n-20))
		assert.True(t, c.fresh(&rightsizerv1.Incident{Id: id}, ids))
		assert.LessOrEqual(t, len(c.told), fewCuts)
		assert.False(t, c.fresh(lasting, ids), "it did not change")
	}
}

func TestCutsAreBounded(t *testing.T) {
	t.Parallel()
	var c cuts
	known := make(map[string]struct{})
	for n := range 10 * maxCuts {
		id := strconv.Itoa(n)
		known[id] = struct{}{}
		c.fresh(&rightsizerv1.Incident{Id: id}, func() map[string]struct{} { return known })
		assert.LessOrEqual(t, len(c.told), maxCuts)
	}
}
