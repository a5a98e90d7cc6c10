package watcher

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/convert"
	"github.com/rightsizer/rightsizer/watcher/meter"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/source"
)

// polled is one source of usage and how it is doing.
type polled struct {
	source.Source

	interval time.Duration

	mu    sync.Mutex
	line  line // of health
	last  time.Time
	state object.UsageSource
	tally meter.Tally
	// skipped counts samples about what does not count, or is not known.
	skipped uint64
	rounds  uint64
	failed  uint64
}

func (w *Watcher) newPolled() error {
	sources, err := w.newSources()
	if err != nil {
		return err
	}
	for _, s := range sources {
		interval := w.opts.Usage.Interval
		if s.Name() == SourceThrottling || s.Name() == SourcePressure {
			interval = w.opts.Usage.DetailInterval
		}
		w.usage.sources = append(w.usage.sources, &polled{
			Source: s, interval: interval, state: object.UsageSource{Name: s.Name()},
			line: line{state: healthStarting, since: w.opts.Clock.Now(), reason: "not asked yet"},
		})
	}
	return nil
}

// pollUsage polls all sources until ctx is done.
func (w *Watcher) pollUsage(ctx context.Context) {
	var running sync.WaitGroup
	defer func() {
		running.Wait()
		for _, closer := range w.usage.closers {
			closer()
		}
	}()
	for _, s := range w.usage.sources {
		poller, err := source.NewPoller(source.PollerOptions{
			Source: s.Source, Interval: s.interval, Clock: w.opts.Clock,
			Targets: func() ([]source.Target, bool) { return w.targets(s) },
			Idle:    func() bool { return w.usage.idle.Load() || !w.opts.Usage.Leading() },
			Take:    func(_ *source.Target, samples []meter.Sample, _ error) { w.takeSamples(s, samples) },
			Round:   func(r source.Round) { w.roundOver(s, &r) },
		})
		if err != nil { // Its options are ours: a mistake that every test shows.
			s.mu.Lock()
			s.line.set(w.opts.Clock.Now(), healthDown, err.Error())
			s.mu.Unlock()
			continue
		}
		running.Go(func() { poller.Run(ctx) })
	}
}

// targets are the namespaces with pods and the nodes as a whole, or the nodes.
func (w *Watcher) targets(s *polled) ([]source.Target, bool) {
	if !w.Synced() {
		return nil, false
	}
	if s.Scope() == source.PerNamespace {
		out := []source.Target{{}}
		for _, namespace := range w.store.Namespaces() {
			out = append(out, source.Target{Namespace: namespace})
		}
		return out, true
	}
	var out []source.Target
	for _, name := range w.store.NodeNames() {
		if n := w.store.Node(name); n != nil {
			out = append(out, source.Target{Node: n.Name, Host: n.Address, Port: n.KubeletPort, ResourcePath: n.MetricsPath})
		}
	}
	return out, true
}

// roundOver notes how a source is doing, and tells where that changed.
func (w *Watcher) roundOver(s *polled, r *source.Round) {
	now := w.opts.Clock.Now()
	s.mu.Lock()
	if w.usage.idle.Load() { // The lead was lost meanwhile, and layDown has had its word or waits for it.
		s.mu.Unlock()
		return
	}
	s.rounds++
	s.failed += uint64(r.Failed)
	s.state.Targets, s.state.Failed = int32(r.Targets), int32(r.Failed+r.Resting)
	if r.Err != nil {
		s.state.Cause = convert.Text(r.Target+": "+explain(r.Err), 512)
	}
	switch {
	case r.Down():
		if s.state.DownSince == 0 {
			s.state.DownSince = now.Unix()
		}
		s.line.set(now, healthDown, "no answer: "+s.state.Cause)
	case r.Failed+r.Resting > 0:
		s.state.DownSince, s.last = 0, now
		s.line.set(now, healthDegraded, fmt.Sprintf("no answer about %d of %d; %s", r.Failed+r.Resting, r.Targets, s.state.Cause))
	default:
		s.state.DownSince, s.state.Cause, s.last = 0, "", now
		s.line.set(now, healthOK, "")
	}
	s.mu.Unlock()

	w.tellSource(&s.mu, &s.state)
	w.tellRoom(now)
}

// room is what health says of the room for sketches.
type room struct {
	mu   sync.Mutex
	line line
}

// tellRoom notes whether there is room for all that is measured.
func (w *Watcher) tellRoom(now time.Time) {
	stats, r := w.usage.book.Stats(), &w.usage.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if stats.TurnedAt == 0 || now.Sub(time.Unix(stats.TurnedAt, 0)) > w.freshFor() {
		r.line.set(now, healthOK, "")
		return
	}
	r.line.set(now, healthDegraded, fmt.Sprintf("no room for all that is measured beside %d containers of workloads: raise --usage-sketch-bytes", stats.Entries))
}

// setUsageLines sets what health says of all that is asked about usage.
func (w *Watcher) setUsageLines(state rightsizerv1.HealthState, reason string) {
	now := w.opts.Clock.Now()
	for _, s := range w.usage.sources {
		s.mu.Lock()
		s.line.set(now, state, reason)
		s.mu.Unlock()
	}
	if p := &w.usage.past; p.prometheus != nil {
		p.mu.Lock()
		p.line.set(now, state, reason)
		p.mu.Unlock()
	}
	w.usage.room.mu.Lock()
	defer w.usage.room.mu.Unlock()
	w.usage.room.line.set(now, healthOK, "")
}

// usageHealth lists the sources as `usage/NAME`, and the watches of what bounds
// recommendations.
func (w *Watcher) usageHealth() []*rightsizerv1.ComponentHealth {
	out := make([]*rightsizerv1.ComponentHealth, 0, len(w.usage.sources))
	for _, s := range w.usage.sources {
		s.mu.Lock()
		out = append(out, s.line.message("usage/"+s.Name()))
		s.mu.Unlock()
	}
	if c := &w.usage.checkpoints; c.namespace != "" {
		c.mu.Lock()
		out = append(out, c.line.message("usage/checkpoints"))
		c.mu.Unlock()
	}
	if p := &w.usage.past; p.prometheus != nil {
		p.mu.Lock()
		out = append(out, p.line.message("usage/"+SourcePrometheus))
		p.mu.Unlock()
	}
	if len(w.usage.sources) > 0 {
		w.usage.room.mu.Lock()
		out = append(out, w.usage.room.line.message("usage/sketches"))
		w.usage.room.mu.Unlock()
		for _, h := range w.usage.constraints.watches {
			if h.missing() {
				continue
			}
			l := h.snapshot()
			if excess := w.usage.constraints.excess(h.resource.name); excess != "" && l.state == healthOK {
				l.state, l.reason = healthDegraded, excess
			}
			out = append(out, l.message("watch/"+h.resource.name))
		}
	}
	slices.SortFunc(out, func(a, b *rightsizerv1.ComponentHealth) int { return cmp.Compare(a.GetComponent(), b.GetComponent()) })
	return out
}
