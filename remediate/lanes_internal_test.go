package remediate

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAKillGoesAheadOfWhatIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	l := newLanes()
	named := func(names ...string) (out []workloadKey) {
		for _, name := range names {
			out = append(out, workloadKey{"shop", "Deployment", name})
		}
		return out
	}
	for _, key := range named("looked-1", "looked-2", "late") {
		l.Push(key)
	}
	for _, key := range named("killed-1", "killed-2", "killed-3", "killed-4", "killed-5") {
		l.mark(key)
		l.Push(key)
	}
	late := named("late")[0]
	l.mark(late)
	l.Touch(late)
	var order []workloadKey
	for l.Len() > 0 {
		order = append(order, l.Pop())
	}
	assert.Equal(t, named("killed-1", "killed-2", "killed-3", "killed-4", "looked-1", "killed-5", "late", "looked-2"), order)
	assert.Empty(t, l.hurry)

	l.Push(late)
	l.Touch(late) // no cause came: it stays where it is
	l.Push(named("looked-1")[0])
	order = []workloadKey{l.Pop(), l.Pop()}
	assert.Equal(t, named("late", "looked-1"), order)
}
