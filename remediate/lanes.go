package remediate

import (
	"slices"
	"sync"
)

// restEvery is how many of the hurried are taken before one of the rest.
const restEvery = 4

// lanes is the order of a work queue: workloads whose containers were killed go
// ahead of those that are merely looked at again, of which one in five is taken all
// the same. The work queue calls all but hurry, one call at a time.
type lanes struct {
	hurried, rest []workloadKey
	ahead         int // of the hurried, since one of the rest was taken

	mu    sync.Mutex
	hurry map[workloadKey]bool // asked for before they are pushed; no more than have causes
}

func newLanes() *lanes { return &lanes{hurry: map[workloadKey]bool{}} }

// mark has a workload go ahead as soon as it is pushed.
func (l *lanes) mark(key workloadKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hurry[key] = true
}

// taken says whether a workload was marked, and unmarks it.
func (l *lanes) taken(key workloadKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	marked := l.hurry[key]
	delete(l.hurry, key)
	return marked
}

// Push implements workqueue.Queue.
func (l *lanes) Push(key workloadKey) {
	if l.taken(key) {
		l.hurried = append(l.hurried, key)
	} else {
		l.rest = append(l.rest, key)
	}
}

// Touch implements workqueue.Queue: what waits already may have to hurry by now.
func (l *lanes) Touch(key workloadKey) {
	if !l.taken(key) {
		return
	}
	if i := slices.Index(l.rest, key); i >= 0 {
		l.rest = slices.Delete(l.rest, i, i+1)
		l.hurried = append(l.hurried, key)
	}
}

// Len implements workqueue.Queue.
func (l *lanes) Len() int { return len(l.hurried) + len(l.rest) }

// Pop implements workqueue.Queue; it is called while Len is not 0.
func (l *lanes) Pop() workloadKey {
	from := &l.hurried
	if len(l.hurried) == 0 || len(l.rest) > 0 && l.ahead >= restEvery {
		from, l.ahead = &l.rest, 0
	} else {
		l.ahead++
	}
	key := (*from)[0]
	*from = slices.Delete(*from, 0, 1)
	return key
}
