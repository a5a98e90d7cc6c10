package watcher

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/rightsizer/rightsizer/watcher/convert"
	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/history"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/source"
	"github.com/rightsizer/rightsizer/watcher/usage"
)

// What is asked of Prometheus about the time before the start: the last hours for
// the history, the last days for the sketches that no checkpoint holds.
const (
	pastHours = 6 * time.Hour
	pastDays  = 8 * 24 * time.Hour
	pastStep  = 5 * time.Minute
	// pastHistoryChunk bounds what is held of all namespaces at once, pastChunk a
	// query.
	pastHistoryChunk = 2 * time.Hour
	pastChunk        = 24 * time.Hour
	// pastHistoryWithin bounds how long the history waits, since it takes minutes
	// in their order.
	pastHistoryWithin = 5 * time.Minute
	// pastRetry is how soon what is missing is asked for again.
	pastRetry = 5 * time.Minute
	// pastRestored is the span from which on a sketch is one that was restored.
	pastRestored = time.Hour
	// pastGivesUp is how many failures in a row end an attempt.
	pastGivesUp = 3
	// pastAttempts is after how many attempts a namespace is left out for a day of
	// its past.
	pastAttempts = 12
)

// past is what is asked of Prometheus, once after the start.
type past struct {
	prometheus *source.Prometheus // nil where none is configured

	mu             sync.Mutex
	line           line
	state          object.UsageSource
	failed         uint64
	series, points uint64
}

// recallHistory fills the history; it returns when it is filled, or nobody answers.
// Minutes are taken in their order, so the oldest are asked for first: it begins no
// earlier than there is time for at the rate of the queries, and each chunk has its share
// of that time. Slow answers then cost it the last of the namespaces, not the last hours.
func (w *Watcher) recallHistory(ctx context.Context) {
	owners := w.newOwners()
	namespaces := owners.namespaces()
	now := w.opts.Clock.Now()
	end, until := now.Truncate(pastStep), now.Add(pastHistoryWithin)
	for left := w.usage.past.chunks(len(namespaces)); left > 0 && ctx.Err() == nil; left-- {
		start := end.Add(-time.Duration(left) * pastHistoryChunk)
		found := make(map[history.Key]*pastCells)
		chunk := source.PastQuery{Start: start.Add(pastStep), End: start.Add(pastHistoryChunk), Step: pastStep}
		share, cancel := context.WithTimeout(ctx, until.Sub(w.opts.Clock.Now())/time.Duration(left))
		failed := w.mostPast(share, namespaces, chunk, func(q *source.PastQuery, s *source.Past) {
			if o := owners.of(q.Namespace, s.Pod, s.Container); o != nil {
				key := history.Key{Namespace: q.Namespace, Kind: o.key.Kind, Workload: o.key.Name, Container: s.Container}
				if found[key] == nil {
					found[key] = &pastCells{}
				}
				found[key].add(start, s, q.Memory)
			}
		})
		late := share.Err() != nil
		cancel()
		w.recordPast(start, found)
		if failed && !late {
			return
		}
	}
}

// chunks are how many of the history there is time for, each asked for of so many
// namespaces; the newest is asked for in any case.
func (p *past) chunks(namespaces int) int {
	each := p.prometheus.Takes(2 * namespaces) // CPU and memory
	return min(int(pastHours/pastHistoryChunk), max(int(pastHistoryWithin/max(each, 1)), 1))
}

// recordPast takes a chunk to the history, moment by moment.
func (w *Watcher) recordPast(start time.Time, found map[history.Key]*pastCells) {
	for i := range len(pastCells{}) {
		some := false
		for _, cells := range found {
			some = some || cells[i] != (pastCell{})
		}
		if !some {
			continue // A gap.
		}
		w.usage.history.Record(start.Add(time.Duration(i+1)*pastStep), func(m *history.Minute) {
			for key, cells := range found {
				if c := &cells[i]; *c != (pastCell{}) {
					v := c.values()
					m.Add(key, &v, &history.Sizes{})
				}
			}
		})
	}
}

// pastCells are one container of a workload in a chunk.
type pastCells [pastHistoryChunk / pastStep]pastCell

// pastCell is one container of a workload at one moment: of all of them a chunk is
// held at once.
type pastCell struct {
	cpu, cpuMost, memory, memoryMost float32 // sums and highest
	cpuPods, memoryPods              uint16
}

func (cells *pastCells) add(start time.Time, s *source.Past, memory bool) {
	for i, at := range s.Times {
		n := (at-start.Unix())/int64(pastStep/time.Second) - 1
		if n < 0 || n >= int64(len(cells)) {
			continue
		}
		c, v := &cells[n], float32(s.Values[i])
		switch {
		case memory && c.memoryPods < math.MaxUint16:
			c.memory, c.memoryMost, c.memoryPods = c.memory+v, max(c.memoryMost, v), c.memoryPods+1
		case !memory && c.cpuPods < math.MaxUint16:
			c.cpu, c.cpuMost, c.cpuPods = c.cpu+v, max(c.cpuMost, v), c.cpuPods+1
		}
	}
}

func (c *pastCell) values() history.Values {
	v := history.None()
	v[history.Pods] = float64(max(c.cpuPods, c.memoryPods))
	cpu := mean{sum: float64(c.cpu), most: float64(c.cpuMost), n: float64(c.cpuPods)}
	cpu.put(&v, history.CPUMean, history.CPUMax)
	memory := mean{sum: float64(c.memory), most: float64(c.memoryMost), n: float64(c.memoryPods)}
	memory.put(&v, history.MemoryMean, history.MemoryMax)
	return v
}

// mostPast asks about namespaces and leaves out those that fail, up to a few; then
// it has failed.
func (w *Watcher) mostPast(ctx context.Context, namespaces []string, q source.PastQuery, take func(*source.PastQuery, *source.Past)) (failed bool) {
	for range pastGivesUp {
		err := w.eachPast(ctx, namespaces, q, take)
		if err == nil {
			return false
		}
		namespaces = namespaces[err.done+1:]
		if ctx.Err() != nil || len(namespaces) == 0 {
			break
		}
	}
	return true
}

// recallSketches fills the sketches that were not restored, namespace by namespace,
// and asks again for what failed until it is there.
func (w *Watcher) recallSketches(ctx context.Context) {
	owners := w.newOwners()
	restored := make(map[usage.Key]bool)
	w.usage.book.Range(func(k usage.Key, s *usage.Sketch) bool {
		restored[k] = s.Span() >= pastRestored
		return true
	})
	end := w.opts.Clock.Now().Truncate(pastStep)
	missing, attempts := owners.namespaces(), 0
	for start := end.Add(-pastDays); start.Before(end); {
		if w.usage.idle.Load() {
			return // Whoever leads now has asked, and keeps it for the next.
		}
		chunk := source.PastQuery{Start: start.Add(pastStep), End: start.Add(pastChunk), Step: pastStep}
		err := w.eachPast(ctx, missing, chunk, func(q *source.PastQuery, s *source.Past) {
			if o := owners.of(q.Namespace, s.Pod, s.Container); o != nil {
				if key := o.usageKey(w, s.Container); !restored[key] {
					w.observePast(key, s, q.Memory)
				}
			}
		})
		if err == nil {
			start, missing, attempts = start.Add(pastChunk), owners.namespaces(), 0
			continue
		}
		timer := w.opts.Clock.NewTimer(pastRetry)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
			if err.done > 0 {
				missing, attempts = missing[err.done:], 0
			}
			if attempts++; attempts == pastAttempts {
				missing, attempts = missing[1:], 0
			}
		}
	}
	p := &w.usage.past
	p.mu.Lock()
	series, points := p.series, p.points
	p.mu.Unlock()
	w.opts.Logger.Info("usage of the past read", slog.String("source", SourcePrometheus), slog.Uint64("series", series), slog.Uint64("samples", points))
}

// observePast takes a series to a sketch. A value of CPU stands for its whole step,
// and counts as often as samples of the time to come will.
func (w *Watcher) observePast(key usage.Key, s *source.Past, memory bool) {
	times := min(max(int(pastStep/w.opts.Usage.Interval), 1), 30)
	for i, at := range s.Times {
		sample := usage.Sample{Time: at, CPUMillis: math.NaN(), MemoryBytes: math.NaN(), Age: usage.Unknown}
		if memory {
			sample.MemoryBytes = s.Values[i]
			w.usage.book.Observe(key, sample)
			continue
		}
		sample.CPUMillis = s.Values[i]
		for range times {
			w.usage.book.Observe(key, sample)
		}
	}
}

// pastError ends an attempt after so many namespaces.
type pastError struct {
	error

	done int
}

// eachPast asks for CPU and memory of namespaces. A namespace is all or nothing:
// what fails is not handed over, so that it may be asked for again.
func (w *Watcher) eachPast(ctx context.Context, namespaces []string, q source.PastQuery, take func(*source.PastQuery, *source.Past)) *pastError {
	for i, namespace := range namespaces {
		q.Namespace = namespace
		for failures := 0; ; failures++ {
			err := w.onePast(ctx, q, take)
			if ctx.Err() != nil {
				return &pastError{ctx.Err(), i}
			}
			w.tellPast(namespace, err)
			if err == nil {
				break
			}
			if failures+1 == pastGivesUp {
				return &pastError{err, i}
			}
		}
	}
	return nil
}

func (w *Watcher) onePast(ctx context.Context, q source.PastQuery, take func(*source.PastQuery, *source.Past)) error {
	var got [2][]source.Past
	for i := range got {
		q.Memory = i == 1
		if err := w.usage.past.prometheus.Past(ctx, q, func(s *source.Past) { got[i] = append(got[i], *s) }); err != nil {
			return err
		}
	}
	p := &w.usage.past
	for i := range got {
		q.Memory = i == 1
		for j := range got[i] {
			take(&q, &got[i][j])
			p.mu.Lock()
			p.series++
			p.points += uint64(len(got[i][j].Times))
			p.mu.Unlock()
		}
	}
	return nil
}

// tellPast notes whether Prometheus answers, and tells where that changed.
func (w *Watcher) tellPast(namespace string, err error) {
	p, now := &w.usage.past, w.opts.Clock.Now()
	p.mu.Lock()
	if w.usage.idle.Load() { // The lead was lost meanwhile; see roundOver.
		p.mu.Unlock()
		return
	}
	p.state.Targets, p.state.Failed = 1, 0
	if err == nil {
		p.state.DownSince, p.state.Cause = 0, ""
		p.line.set(now, healthOK, "")
	} else {
		p.failed++
		p.state.Failed, p.state.Cause = 1, convert.Text(namespace+": "+explain(err), 512)
		if p.state.DownSince == 0 {
			p.state.DownSince = now.Unix()
		}
		p.line.set(now, healthDown, "no answer: "+p.state.Cause)
	}
	p.mu.Unlock()
	w.tellSource(&p.mu, &p.state)
}

// tellSource looks at a source of usage, whose state its lock guards: as it is now, for
// between a change and its telling there may be another.
func (w *Watcher) tellSource(guard *sync.Mutex, held *object.UsageSource) {
	w.mu.Lock()
	defer w.mu.Unlock()
	guard.Lock()
	state := *held
	guard.Unlock()
	look(w, &glance[object.UsageSource]{
		resource: "usage", ref: ref{"UsageSource", object.Key{Name: state.Name}, "usage-source/" + state.Name},
		detectors: w.opts.Detectors.Sources, subject: detect.SourceSubject,
		in: detect.SourceInput{Cur: &state},
	})
}
