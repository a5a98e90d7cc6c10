package remediate

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Pods that are not ready, whose causes are held for minutes, do not crowd out a kill:
// the oldest of them makes room. What waits stays bounded, also as it is put back.
func TestAKillHasRoomAmongPodsThatAreNotReady(t *testing.T) {
	t.Parallel()
	m, err := newMetrics(nil)
	require.NoError(t, err)
	w := newWaiting(&Engine{metrics: m})
	q := w.open()
	defer w.close()
	key := workloadKey{"shop", "Deployment", "web"}
	cause := func(kind, id string) *rightsizerv1.Event { return &rightsizerv1.Event{Id: id, Type: kind} }
	fill := func() {
		for n := range v1alpha1.MaxCauses + 1 {
			w.cause(key, cause(guard.TypeNotReady, "not ready "+strconv.Itoa(n)))
		}
	}
	fill()
	w.cause(key, cause(guard.TypeOOM, "a kill"))
	held, _ := w.take(key)
	assert.Len(t, held, v1alpha1.MaxCauses)
	assert.Equal(t, "not ready 1", held[0].GetId())
	assert.Equal(t, "a kill", held[len(held)-1].GetId())

	fill() // while they were judged
	w.again(key, held, time.Hour)
	held, _ = w.take(key)
	assert.Len(t, held, v1alpha1.MaxCauses)
	assert.Contains(t, ids(held), "a kill")

	for n := range v1alpha1.MaxCauses {
		w.cause(key, cause(guard.TypeOOM, "kill "+strconv.Itoa(n)))
	}
	w.again(key, held, time.Hour)
	w.cause(key, cause(guard.TypeOOM, "one more"))
	held, _ = w.take(key)
	assert.Len(t, held, v1alpha1.MaxCauses)
	assert.NotContains(t, ids(held), "one more", "it comes again")
	assert.Equal(t, 1, q.Len())
}

func ids(events []*rightsizerv1.Event) (out []string) {
	for _, ev := range events {
		out = append(out, ev.GetId())
	}
	return out
}
