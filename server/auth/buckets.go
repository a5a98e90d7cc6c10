package auth

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxBuckets bounds the callers whose pace is known. The one longest unseen goes
// first: his bucket has filled up meanwhile, so that he gains little by it.
const maxBuckets = 8192

// Buckets hold each of many to a pace: a token bucket each. Safe for concurrent
// use.
type Buckets struct {
	mu        sync.Mutex
	perSecond rate.Limit
	burst     int
	known     map[string]*list.Element // of *bucket
	recent    *list.List
}

type bucket struct {
	of    string
	limit *rate.Limiter
}

// NewBuckets makes buckets that hold burst and fill at perSecond.
func NewBuckets(perSecond, burst int) *Buckets {
	return &Buckets{perSecond: rate.Limit(perSecond), burst: burst, known: make(map[string]*list.Element), recent: list.New()}
}

// SetPace changes the pace of everybody, of those as well who are known.
func (b *Buckets) SetPace(perSecond, burst int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.perSecond, b.burst = rate.Limit(perSecond), burst
	for element := b.recent.Front(); element != nil; element = element.Next() {
		limit := element.Value.(*bucket).limit //nolint:forcetypeassert // the list holds nothing else
		limit.SetLimit(b.perSecond)
		limit.SetBurst(b.burst)
	}
}

// Take takes one from somebody's bucket. Where it is empty it says how long until
// there is one again, which is more than 0.
func (b *Buckets) Take(of string) time.Duration {
	now := time.Now()
	reservation := b.limiter(of).ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now) // what is refused costs nothing
	}
	return wait
}

// Give gives back one that was taken and turned out to be free.
func (b *Buckets) Give(to string) {
	// x/time/rate has no word for it but a negative number; a test holds it.
	b.limiter(to).AllowN(time.Now(), -1)
}

func (b *Buckets) limiter(of string) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	if element := b.known[of]; element != nil {
		b.recent.MoveToFront(element)
		return element.Value.(*bucket).limit //nolint:forcetypeassert // the list holds nothing else
	}
	limit := rate.NewLimiter(b.perSecond, b.burst)
	b.known[of] = b.recent.PushFront(&bucket{of: of, limit: limit})
	if len(b.known) > maxBuckets {
		last := b.recent.Back()
		delete(b.known, last.Value.(*bucket).of) //nolint:forcetypeassert // the list holds nothing else
		b.recent.Remove(last)
	}
	return limit
}
