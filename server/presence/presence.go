package presence

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Grace is how long the last stream of somebody must be gone until he is: clients
// reconnect within it when a proxy, a rollout or their network cuts them off.
const Grace = 30 * time.Second

// What is told at most. One of these is a stay: two events. So it is 128 at once and 12
// an hour, in a week half of the ring as it is by default, whatever everybody does.
const (
	ofAll, everyOfAll = 64, 10 * time.Minute // at once, and then
	ofOne, everyOfOne = 4, 30 * time.Minute
)

// maxIdentities bounds those that are known, each some 400 bytes.
const maxIdentities = 1024

// Options make a Presence. All are required.
type Options struct {
	// Cluster is the cluster's id, empty before it is known: nothing is told then.
	Cluster func() string
	// Replica names this process among all replicas that are and were.
	Replica string
	// Publish takes an event, for those alone who may know who reads. It never blocks
	// and never calls back.
	Publish func(*rightsizerv1.Event)
	// Registerer takes the metrics rightsizer_presence_*.
	Registerer prometheus.Registerer
}

// Presence knows who reads. Safe for concurrent use.
type Presence struct {
	opts    Options
	metrics metrics
	wake    chan struct{} // one token: somebody began to leave

	mu      sync.Mutex
	known   map[identity]*visitor
	leaving *list.List // of *visitor: without a stream, for less than Grace; by when, the earliest first
	away    *list.List // of *visitor: gone; the longest first
	pace    *rate.Limiter
	ordinal uint64 // events so far
	untold  int64  // comings since the last that was told
}

// identity tells people of one name apart by who vouches for them.
type identity struct{ via, user string }

// visitor is somebody who reads, or did.
type visitor struct {
	identity

	open     int           // streams
	place    *list.Element // in leaving or away; nil while there is a stream
	here     bool          // from the first stream to the end of the grace
	since    time.Time
	left     time.Time // when the last stream ended
	protocol string    // of the first stream
	streams  int32     // since then
	told     *rightsizerv1.Event
	pace     *rate.Limiter
}

// New makes a Presence and registers its metrics.
func New(o Options) (*Presence, error) {
	if o.Cluster == nil || o.Replica == "" || o.Publish == nil || o.Registerer == nil {
		return nil, errors.New("presence: Cluster, Replica, Publish and Registerer must be set")
	}
	p := &Presence{
		opts: o, wake: make(chan struct{}, 1), known: make(map[identity]*visitor), leaving: list.New(), away: list.New(),
		pace: rate.NewLimiter(rate.Every(everyOfAll), ofAll),
	}
	p.metrics = newMetrics(p)
	if err := p.metrics.register(o.Registerer); err != nil {
		return nil, fmt.Errorf("presence: register metrics: %w", err)
	}
	return p, nil
}

// Run tells who is gone, as that shows, until ctx ends.
func (p *Presence) Run(ctx context.Context) error {
	timer := time.NewTimer(Grace)
	defer timer.Stop()
	for {
		timer.Reset(p.settle())
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
		case <-timer.C:
		}
	}
}

// Came is told of a stream that somebody opened, who has a name. What it returns is
// called once, when the stream has ended.
func (p *Presence) Came(via, user, protocol string) (went func()) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.visitor(identity{via, user})
	if v == nil {
		p.suppress(full)
		return func() {}
	}
	p.take(v)
	v.open++
	if !v.here {
		v.here, v.since, v.protocol, v.streams = true, now, protocol, 0
		p.tell(v, now)
	}
	v.streams++
	return func() { p.went(v) }
}

// visitor is somebody known, or made so; nil where all that may be known are there.
func (p *Presence) visitor(who identity) *visitor {
	if v := p.known[who]; v != nil {
		return v
	}
	if len(p.known) >= maxIdentities && !p.forget() {
		return nil
	}
	v := &visitor{identity: who, pace: rate.NewLimiter(rate.Every(everyOfOne), ofOne)}
	p.known[who] = v
	return v
}

// forget makes room for one: of whoever is gone, or at least without a stream, for
// longest.
func (p *Presence) forget() bool {
	oldest := p.away.Front()
	if oldest == nil {
		if oldest = p.leaving.Front(); oldest == nil {
			return false
		}
	}
	v := oldest.Value.(*visitor) //nolint:forcetypeassert // the lists hold nothing else
	if v.here {
		p.gone(v)
	}
	p.take(v)
	delete(p.known, v.identity)
	p.metrics.forgotten.Inc()
	return true
}

// take takes somebody out of those who have no stream.
func (p *Presence) take(v *visitor) {
	if v.place == nil {
		return
	}
	if v.here {
		p.leaving.Remove(v.place)
	} else {
		p.away.Remove(v.place)
	}
	v.place = nil
}

// tell tells that somebody came, unless that is too much of him or in all. What is
// told of him later is paid for with it.
func (p *Presence) tell(v *visitor, now time.Time) {
	switch {
	case p.opts.Cluster() == "":
		p.suppress(unknownCluster)
	case v.pace.TokensAt(now) < 1:
		p.suppress(tooMuchOfOne)
	case !p.pace.AllowN(now, 1):
		p.suppress(tooMuchOfAll)
	default:
		v.pace.AllowN(now, 1)
		v.told = p.event(Connected, v, now)
		p.publish(v.told)
	}
}

func (p *Presence) publish(ev *rightsizerv1.Event) {
	p.opts.Publish(ev)
	p.metrics.told.WithLabelValues(ev.GetType()).Inc()
}

func (p *Presence) suppress(why string) {
	p.untold++
	p.metrics.untold.WithLabelValues(why).Inc()
}

func (p *Presence) went(v *visitor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v.open--; v.open > 0 {
		return
	}
	v.left = time.Now()
	v.place = p.leaving.PushBack(v)
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// settle tells who is gone by now, and returns how long nobody else will be.
func (p *Presence) settle() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	for next := p.leaving.Front(); next != nil; next = p.leaving.Front() {
		v := next.Value.(*visitor) //nolint:forcetypeassert // the list holds nothing else
		if wait := time.Until(v.left.Add(Grace)); wait > 0 {
			return wait
		}
		p.gone(v)
	}
	return Grace
}

// gone ends the stay of somebody who has no stream.
func (p *Presence) gone(v *visitor) {
	p.take(v)
	v.here = false
	v.place = p.away.PushBack(v)
	if v.told != nil {
		v.told = nil
		p.publish(p.event(Disconnected, v, v.left))
	}
}

// Told are the events that told of those who are there still, in the order of their
// coming. They must not be changed.
func (p *Presence) Told() []*rightsizerv1.Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*rightsizerv1.Event
	for _, v := range p.known {
		if v.told != nil {
			all = append(all, v.told)
		}
	}
	slices.SortFunc(all, func(a, b *rightsizerv1.Event) int {
		return cmp.Or(a.GetOccurredTime().AsTime().Compare(b.GetOccurredTime().AsTime()), cmp.Compare(a.GetId(), b.GetId()))
	})
	return all
}
