package watcher

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/history"
	"github.com/rightsizer/rightsizer/watcher/meter"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/recommend"
)

// detailUse is the latest of what few sources tell.
type detailUse struct {
	throttled, cpuPressure, memoryPressure, ioPressure float32
	throttledPeak                                      float32 // since the last minute recorded
	throttledAt, pressureAt                            int64
}

func (u *use) keepDetail(r *meter.Reading) {
	if !r.Has.Has(meter.Throttling) && !r.Has.Has(meter.Pressure) {
		return
	}
	if u.detail == nil {
		u.detail = &detailUse{}
	}
	d, at := u.detail, r.Time.Unix()
	if r.Has.Has(meter.Throttling) {
		d.throttled, d.throttledAt = float32(r.Throttled), at
		d.throttledPeak = max(d.throttledPeak, d.throttled)
	}
	if r.Has.Has(meter.Pressure) {
		d.cpuPressure, d.memoryPressure, d.ioPressure, d.pressureAt = float32(r.CPUPressure), float32(r.MemoryPressure), float32(r.IOPressure), at
	}
}

// keepHistory looks minute by minute who is silent, and records what is known once the
// past is recorded, until ctx is done.
func (w *Watcher) keepHistory(ctx context.Context) {
	recalled := make(chan struct{})
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { w.recall(ctx, recalled) })
	ticker := w.opts.Clock.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
			if !w.Synced() || w.usage.idle.Load() {
				continue
			}
			w.findSilent(w.opts.Clock.Now())
			select {
			case <-recalled:
				w.recordMinute()
			default: // Minutes are recorded in their order.
			}
		}
	}
}

// recall reads what was before the start where a Prometheus knows it; recalled is closed
// once the history has its part.
func (w *Watcher) recall(ctx context.Context, recalled chan<- struct{}) {
	if w.usage.past.prometheus == nil {
		close(recalled)
		return
	}
	idle := w.usage.idle.Load
	if !w.await(ctx, func() bool { return w.Synced() && !idle() }) {
		return
	}
	w.recallHistory(ctx)
	close(recalled)
	// What was kept and is read only then would weigh double.
	if w.await(ctx, func() bool { return idle() || w.usage.checkpoints.settled() }) {
		w.recallSketches(ctx)
	}
}

// await looks every second whether something is so; false when ctx is done first.
func (w *Watcher) await(ctx context.Context, is func() bool) bool {
	ticker := w.opts.Clock.NewTicker(time.Second)
	defer ticker.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C():
		}
	}
	return true
}

// mean joins replicas.
type mean struct{ sum, most, n float64 }

func (m *mean) add(v, peak float64) { m.sum, m.most, m.n = m.sum+v, max(m.most, peak), m.n+1 }

func (m *mean) put(v *history.Values, at, most history.Stat) {
	if m.n == 0 {
		return
	}
	v[most] = m.most
	v[at] = m.sum / m.n
}

// replicas is one container of a workload in the making of a minute.
type replicas struct {
	pods                             float64
	cpu, memory, throttled           mean
	cpuWaits, memoryWaits, diskWaits mean
	newest                           *object.Pod // nil for nodes
	sizes                            history.Sizes
}

// recordMinute takes what is known of now to the history.
func (w *Watcher) recordMinute() {
	now := w.opts.Clock.Now()
	found := make(map[history.Key]*replicas)
	w.usage.mu.Lock()
	for uid, p := range w.usage.pods {
		pod := w.store.Pod(p.key)
		if pod == nil || pod.UID != uid || pod.Ended() {
			continue
		}
		k := w.store.Workload(pod)
		for i := range p.containers {
			c := &p.containers[i]
			key := history.Key{Namespace: k.Namespace, Kind: k.Kind, Workload: k.Name, Container: c.name}
			if r := replicasOf(found, key); w.addReplica(r, &c.use, now) {
				r.size(pod, c.name)
			}
		}
	}
	nodes := make(map[string]*replicas, len(w.usage.nodes))
	for name, u := range w.usage.nodes {
		n := w.store.Node(name)
		r := &replicas{}
		if n != nil && w.addReplica(r, u, now) {
			r.sizes = history.Sizes{CPURequest: float64(n.Allocatable.CPUMillis), MemoryRequest: float64(n.Allocatable.MemoryBytes)}
			nodes[name] = r
		}
	}
	w.forgetFits(now)
	w.usage.mu.Unlock()
	w.addTargets(found)
	w.usage.history.Record(now, func(m *history.Minute) {
		for key, r := range found {
			if r.pods > 0 {
				v := r.values()
				m.Add(key, &v, &r.sizes)
			}
		}
		for name, r := range nodes {
			v := r.values()
			m.Add(history.Key{Node: name}, &v, &r.sizes)
		}
		for _, name := range w.store.NodeNames() {
			load := w.store.NodeLoad(name)
			addAmounts(m, history.Key{Node: name, Kind: history.Requested}, load.Requested)
			addAmounts(m, history.Key{Node: name, Kind: history.Limited}, load.Limits)
		}
	})
}

// addAmounts adds what is known without a measurement.
func addAmounts(m *history.Minute, key history.Key, of object.Resources) {
	v := history.None()
	v[history.Pods] = 1
	cpu, memory := mean{n: 1}, mean{n: 1}
	cpu.sum, cpu.most = float64(of.CPUMillis), float64(of.CPUMillis)
	memory.sum, memory.most = float64(of.MemoryBytes), float64(of.MemoryBytes)
	cpu.put(&v, history.CPUMean, history.CPUMax)
	memory.put(&v, history.MemoryMean, history.MemoryMax)
	m.Add(key, &v, &history.Sizes{})
}

func replicasOf(found map[history.Key]*replicas, key history.Key) *replicas {
	r := found[key]
	if r == nil {
		r = &replicas{}
		found[key] = r
	}
	return r
}

// addReplica adds what is fresh of one container; false where nothing is.
func (w *Watcher) addReplica(r *replicas, u *use, now time.Time) bool {
	measured := false
	if w.fresh(u.cpuAt, now) {
		r.cpu.add(float64(u.cpu), float64(max(u.cpuPeak, u.cpu)))
		measured = true
	}
	if w.fresh(u.memoryAt, now) {
		r.memory.add(float64(u.memory), float64(max(u.memoryPeak, u.memory)))
		measured = true
	}
	if d := u.detail; d != nil {
		if w.freshDetail(d.throttledAt, now) {
			r.throttled.add(float64(d.throttled), float64(max(d.throttledPeak, d.throttled)))
			measured = true
		}
		if w.freshDetail(d.pressureAt, now) {
			r.cpuWaits.add(float64(d.cpuPressure), 0)
			r.memoryWaits.add(float64(d.memoryPressure), 0)
			r.diskWaits.add(float64(d.ioPressure), 0)
			measured = true
		}
		d.throttledPeak = 0
	}
	u.cpuPeak, u.memoryPeak = 0, 0
	if measured {
		r.pods++
	}
	return measured
}

// freshDetail is fresh, for sources that are asked less often.
func (w *Watcher) freshDetail(at int64, now time.Time) bool {
	return within(at, now, 3*w.opts.Usage.DetailInterval)
}

// size takes the sizes of the newest pod.
func (r *replicas) size(pod *object.Pod, container string) {
	c := counted(pod, container)
	if c == nil || r.newest != nil && pod.CreateTime < r.newest.CreateTime {
		return
	}
	r.newest = pod
	held := c.InForce()
	r.sizes.CPURequest, r.sizes.MemoryRequest = float64(held.Requests.CPUMillis), float64(held.Requests.MemoryBytes)
	r.sizes.CPULimit, r.sizes.MemoryLimit = float64(held.Limits.CPUMillis), float64(held.Limits.MemoryBytes)
}

// addTargets adds what is recommended. It takes microseconds for each, which is less
// than to keep what was recommended up to date with all that bounds it.
func (w *Watcher) addTargets(found map[history.Key]*replicas) {
	around := w.surroundings()
	settings := recommend.DefaultSettings()
	for key, r := range found {
		if r.newest == nil {
			continue
		}
		c := counted(r.newest, key.Container)
		if c == nil {
			continue
		}
		s := &sizeable{key: w.store.Workload(r.newest), newest: r.newest, replicas: int32(r.pods)}
		got := settings.Recommend(w.input(around, s, c))
		r.sizes.CPUTarget, r.sizes.MemoryTarget = float64(got.Requests.CPUMillis), float64(got.Requests.MemoryBytes)
	}
}

func (r *replicas) values() history.Values {
	v := history.None()
	v[history.Pods] = r.pods
	r.cpu.put(&v, history.CPUMean, history.CPUMax)
	r.memory.put(&v, history.MemoryMean, history.MemoryMax)
	r.throttled.put(&v, history.ThrottledMean, history.ThrottledMax)
	r.cpuWaits.put(&v, history.CPUPressure, history.CPUPressure)
	r.memoryWaits.put(&v, history.MemoryPressure, history.MemoryPressure)
	r.diskWaits.put(&v, history.IOPressure, history.IOPressure)
	return v
}

// Metrics lists what QueryMetrics can be asked for.
func (w *Watcher) Metrics() []*rightsizerv1.MetricDescriptor {
	reach := w.usage.history.Stats().Reach
	var out []*rightsizerv1.MetricDescriptor
	for _, m := range history.Metrics() {
		out = append(out, &rightsizerv1.MetricDescriptor{
			Name: m.Name, Unit: m.Unit, Description: m.Description, Labels: m.Labels, Retention: durationpb.New(reach),
		})
	}
	return out
}

// aggregations of the schema.
var aggregations = map[rightsizerv1.Aggregation]history.Aggregation{
	rightsizerv1.Aggregation_AGGREGATION_UNSPECIFIED: history.Default,
	rightsizerv1.Aggregation_AGGREGATION_AVG:         history.Avg,
	rightsizerv1.Aggregation_AGGREGATION_MAX:         history.Max,
	rightsizerv1.Aggregation_AGGREGATION_P50:         history.P50,
	rightsizerv1.Aggregation_AGGREGATION_P90:         history.P90,
	rightsizerv1.Aggregation_AGGREGATION_P95:         history.P95,
	rightsizerv1.Aggregation_AGGREGATION_P99:         history.P99,
	rightsizerv1.Aggregation_AGGREGATION_SUM:         history.Sum,
	rightsizerv1.Aggregation_AGGREGATION_RATE:        history.Rate,
}

// QueryMetrics answers from the history. may says which namespaces the caller may
// see; nil is all. Errors are *history.QueryError.
func (w *Watcher) QueryMetrics(req *rightsizerv1.QueryMetricsRequest, may func(namespace string) bool) (*rightsizerv1.QueryMetricsResponse, error) {
	q := history.Query{
		Metric: req.GetMetric(), Filter: req.GetFilter(), GroupBy: req.GetGroupBy(),
		Aggregation: aggregations[req.GetAggregation()], Step: req.GetStep().AsDuration(), End: w.opts.Clock.Now(), May: may,
	}
	if t := req.GetEndTime(); t != nil {
		q.End = t.AsTime()
	}
	q.Start = q.End.Add(-time.Hour)
	if t := req.GetStartTime(); t != nil {
		q.Start = t.AsTime()
	}
	got, err := w.usage.history.Query(&q)
	if err != nil {
		return nil, err
	}
	out := &rightsizerv1.QueryMetricsResponse{Unit: got.Unit, Step: durationpb.New(got.Step)}
	for _, s := range got.Series {
		line := &rightsizerv1.Series{Labels: s.Labels, Points: make([]*rightsizerv1.Point, 0, len(s.Points))}
		for _, p := range s.Points {
			line.Points = append(line.Points, &rightsizerv1.Point{Time: timestamppb.New(p.Time), Value: p.Value})
		}
		out.Series = append(out.Series, line)
	}
	return out, nil
}
