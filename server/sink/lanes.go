package sink

import (
	"container/list"
	"math/rand/v2"
	"time"
)

// Bounds of the retries.
const (
	inFlight     = 4
	firstRetry   = time.Second
	longestRetry = time.Minute
	firstPause   = 250 * time.Millisecond
	longestPause = 30 * time.Second
)

// item is an event that waits or is being delivered.
type item struct {
	event Event
	lane  string
	taken time.Time
}

// lane holds the events of one problem. The first is being delivered while busy.
type lane struct {
	place     *list.Element // in lanes.order
	items     []*item
	busy      bool
	attempts  int // failed ones of the first
	notBefore time.Time
}

// outcome is what came of an attempt.
type outcome struct {
	item  *item
	err   error
	again bool          // a later attempt may succeed
	after time.Duration // how long to wait, as the endpoint says; 0 is as we like
	took  time.Duration
}

// lanes decides what is delivered next; it does nothing. It belongs to one
// goroutine.
type lanes struct {
	giveUpAfter time.Duration
	// jitter spreads a pause; the identity in tests.
	jitter func(time.Duration) time.Duration

	byKey   map[string]*lane
	order   *list.List // of *lane, those longest without an attempt first
	waiting int        // items, those in flight included
	flying  int

	failures int // in a row, of the whole sink
	quiet    time.Time
}

func newLanes(giveUpAfter time.Duration) *lanes {
	return &lanes{giveUpAfter: giveUpAfter, jitter: spread, byKey: map[string]*lane{}, order: list.New()}
}

// spread takes up to a fifth off.
func spread(d time.Duration) time.Duration {
	return d - rand.N(d/5+1) //nolint:gosec // no secret
}

func (l *lanes) add(it *item) {
	at := l.byKey[it.lane]
	if at == nil {
		at = &lane{}
		at.place = l.order.PushBack(at)
		l.byKey[it.lane] = at
	}
	at.items = append(at.items, it)
	l.waiting++
}

// most is how many may be in flight now.
func (l *lanes) most() int {
	if l.failures > 0 {
		return 1
	}
	return inFlight
}

// start takes the next event to deliver, nil where none may be now.
func (l *lanes) start(now time.Time) *item {
	if l.flying >= l.most() || now.Before(l.quiet) {
		return nil
	}
	for e := l.order.Front(); e != nil; e = e.Next() {
		at, ok := e.Value.(*lane)
		if !ok || at.busy || now.Before(at.notBefore) {
			continue
		}
		at.busy = true
		l.flying++
		l.order.MoveToBack(e)
		return at.items[0]
	}
	return nil
}

// wake is when start may have something that it has not now, by time alone.
func (l *lanes) wake(now time.Time) (time.Time, bool) {
	if l.waiting == 0 || l.flying >= l.most() {
		return time.Time{}, false // an event or an outcome comes first
	}
	if now.Before(l.quiet) {
		return l.quiet, true
	}
	var first time.Time
	for _, at := range l.byKey {
		if !at.busy && at.notBefore.After(now) && (first.IsZero() || at.notBefore.Before(first)) {
			first = at.notBefore
		}
	}
	return first, !first.IsZero()
}

// settle takes what came of an attempt; failed is true when the event is given up.
func (l *lanes) settle(o outcome, now time.Time) (failed bool) {
	at := l.byKey[o.item.lane]
	at.busy = false
	l.flying--
	if o.err == nil {
		l.failures, l.quiet = 0, time.Time{}
		l.pop(o.item.lane, at)
		return false
	}
	if !o.again {
		// The endpoint is there, and refuses this one.
		l.pop(o.item.lane, at)
		return true
	}
	l.failures++
	l.quiet = now.Add(max(o.after, l.jitter(doubled(firstPause, l.failures, longestPause))))
	at.attempts++
	at.notBefore = now.Add(max(o.after, l.jitter(doubled(firstRetry, at.attempts, longestRetry))))
	if now.Sub(o.item.taken) >= l.giveUpAfter {
		l.pop(o.item.lane, at)
		return true
	}
	return false
}

// pop removes the first of a lane, and the lane with its last.
func (l *lanes) pop(key string, at *lane) {
	l.waiting--
	at.items[0] = nil
	at.items, at.attempts, at.notBefore = at.items[1:], 0, time.Time{}
	if len(at.items) > 0 {
		return
	}
	delete(l.byKey, key)
	l.order.Remove(at.place)
}

// doubled is first, twice as long for each time beyond the first, at most longest.
func doubled(first time.Duration, times int, longest time.Duration) time.Duration {
	if times > 16 {
		return longest
	}
	return min(first<<(times-1), longest)
}
