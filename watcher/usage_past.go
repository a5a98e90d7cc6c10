package watcher

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"strings"
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
func (w *Watcher) recallHistory(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pastHistoryWithin)
	defer cancel()
	owners := w.newOwners()
	end := w.opts.Clock.Now().Truncate(pastStep)
	for start := end.Add(-pastHours); start.Before(end); start = start.Add(pastHistoryChunk) {
		cells := make([]map[history.Key]*pastCell, pastHistoryChunk/pastStep)
		chunk := source.PastQuery{Start: start.Add(pastStep), End: start.Add(pastHistoryChunk), Step: pastStep}
		failed := w.mostPast(ctx, owners.namespaces(), chunk, func(q *source.PastQuery, s *source.Past) {
			if o := owners.of(q.Namespace, s.Pod, s.Container); o != nil {
				addPast(cells, start, history.Key{Namespace: q.Namespace, Kind: o.key.Kind, Workload: o.key.Name, Container: s.Container}, s, q.Memory)
			}
		})
		for i, found := range cells {
			if len(found) > 0 {
				w.usage.history.Record(start.Add(time.Duration(i+1)*pastStep), func(m *history.Minute) {
					for key, c := range found {
						v := c.values()
						m.Add(key, &v, &history.Sizes{})
					}
				})
			}
		}
		if failed {
			return
		}
	}
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

// pastCell is one container of a workload at one moment.
type pastCell struct {
	cpu, memory mean
}

func addPast(cells []map[history.Key]*pastCell, start time.Time, key history.Key, s *source.Past, memory bool) {
	for i, at := range s.Times {
		n := (at-start.Unix())/int64(pastStep/time.Second) - 1
		if n < 0 || n >= int64(len(cells)) {
			continue
		}
		if cells[n] == nil {
			cells[n] = make(map[history.Key]*pastCell)
		}
		c := cells[n][key]
		if c == nil {
			c = &pastCell{}
			cells[n][key] = c
		}
		if memory {
			c.memory.add(s.Values[i], s.Values[i])
		} else {
			c.cpu.add(s.Values[i], s.Values[i])
		}
	}
}

func (c *pastCell) values() history.Values {
	v := history.None()
	v[history.Pods] = max(c.cpu.n, c.memory.n)
	c.cpu.put(&v, history.CPUMean, history.CPUMax)
	c.memory.put(&v, history.MemoryMean, history.MemoryMax)
	return v
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
		if !w.opts.Usage.Leading() {
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
	state := p.state
	p.mu.Unlock()
	w.tellSource(&state)
}

// tellSource looks at a source of usage.
func (w *Watcher) tellSource(state *object.UsageSource) {
	w.mu.Lock()
	defer w.mu.Unlock()
	look(w, &glance[object.UsageSource]{
		resource: "usage", ref: ref{"UsageSource", object.Key{Name: state.Name}, "usage-source/" + state.Name},
		detectors: w.opts.Detectors.Sources, subject: detect.SourceSubject,
		in: detect.SourceInput{Cur: state},
	})
}

// owners know the workloads of pods, also of those that are gone.
type owners struct {
	pods      map[object.Key]*owner
	workloads map[object.WorkloadKey]*owner
}

// owner is a workload, with its newest pod.
type owner struct {
	key    object.WorkloadKey
	newest *object.Pod
	// group says that its pods are measured apart: of those that are gone nobody
	// knows where they belong.
	group bool
}

func (w *Watcher) newOwners() *owners {
	out := &owners{pods: make(map[object.Key]*owner), workloads: make(map[object.WorkloadKey]*owner)}
	for _, s := range w.sizeables(nil, nil) {
		out.workloads[s.key] = &owner{key: s.key, newest: s.newest, group: s.key.Kind == "DaemonSet" && w.opts.Usage.DaemonSetNodeLabel != ""}
	}
	for _, pod := range w.store.Pods() {
		if o := out.workloads[w.store.Workload(pod)]; o != nil {
			if o.group {
				o = &owner{key: o.key, newest: pod}
			}
			out.pods[pod.Key] = o
		}
	}
	return out
}

func (o *owners) namespaces() []string {
	seen := make(map[string]bool)
	var out []string
	for key := range o.workloads {
		if !seen[key.Namespace] {
			seen[key.Namespace] = true
			out = append(out, key.Namespace)
		}
	}
	slices.Sort(out)
	return out
}

// of finds the workload of a container that counts; nil where there is none.
func (o *owners) of(namespace, pod, container string) *owner {
	found := o.pods[object.Key{Namespace: namespace, Name: pod}]
	for _, key := range namedAfter(namespace, pod) {
		if found == nil {
			if found = o.workloads[key]; found != nil && found.group {
				return nil
			}
		}
	}
	if found == nil || counted(found.newest, container) == nil {
		return nil
	}
	return found
}

func (o *owner) usageKey(w *Watcher, container string) usage.Key {
	return w.usageKey(o.newest, container)
}

// safe are the characters of the suffixes that controllers give: no vowels, nothing
// that looks alike (k8s.io/apimachinery/pkg/util/rand).
const safe = "bcdfghjklmnpqrstvwxz2456789"

// namedAfter lists the workloads that may have made a pod of this name: a
// StatefulSet appends a number, a DaemonSet five characters, a Deployment a hash
// and five.
func namedAfter(namespace, pod string) []object.WorkloadKey {
	at := strings.LastIndexByte(pod, '-')
	if at <= 0 {
		return nil
	}
	base, suffix := pod[:at], pod[at+1:]
	var out []object.WorkloadKey
	if suffix != "" && strings.Trim(suffix, "0123456789") == "" {
		out = append(out, object.WorkloadKey{Namespace: namespace, Kind: "StatefulSet", Name: base})
	}
	if len(suffix) != 5 || strings.Trim(suffix, safe) != "" {
		return out
	}
	out = append(out, object.WorkloadKey{Namespace: namespace, Kind: "DaemonSet", Name: base})
	if at := strings.LastIndexByte(base, '-'); at > 0 {
		if hash := base[at+1:]; hash != "" && len(hash) <= 10 && strings.Trim(hash, safe) == "" {
			out = append(out, object.WorkloadKey{Namespace: namespace, Kind: "Deployment", Name: base[:at]})
		}
	}
	return out
}
