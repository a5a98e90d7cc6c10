package watcher

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/tools/cache"

	"github.com/rightsizer/rightsizer/watcher/convert"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/recommend"
)

// constraints are what namespaces allow, and what sizes workloads already. They
// are watched where that is allowed, like all else, but no event is made of them,
// so that a loss hides none. What bounds recommendations is kept of each object,
// and nothing else.
type constraints struct {
	watches []*watchHealth

	mu     sync.RWMutex
	held   map[string]map[object.Key]any // by resource: what compact made
	ranges map[string][]object.Key       // by namespace
	quotas map[string][]object.Key
	vpas   map[object.WorkloadKey][]string
	unheld map[string]int // by resource, for want of room
}

// maxConstraints bounds the objects held of each kind.
const maxConstraints = 10_000

// constraintsRetry bounds the pause between two attempts: a kind that is not
// there, or may not be read, is not asked for every second.
const constraintsRetry = 5 * time.Minute

const (
	rangesResource = "limitranges"
	quotasResource = "resourcequotas"
	vpasResource   = "verticalpodautoscalers"
)

func (w *Watcher) newConstraints() *constraints {
	c := &constraints{
		held: make(map[string]map[object.Key]any), ranges: make(map[string][]object.Key), quotas: make(map[string][]object.Key),
		vpas: make(map[object.WorkloadKey][]string), unheld: make(map[string]int),
	}
	for _, r := range []*resource{
		{name: rangesResource, path: "/api/v1/limitranges", expected: &corev1.LimitRange{}, optional: true},
		{name: quotasResource, path: "/api/v1/resourcequotas", expected: &corev1.ResourceQuota{}, optional: true},
		{name: vpasResource, path: "/apis/autoscaling.k8s.io/v1/verticalpodautoscalers", expected: &vpa{}, optional: true},
	} {
		c.held[r.name] = make(map[object.Key]any)
		c.watches = append(c.watches, newWatchHealth(w.health, r))
	}
	return c
}

// watchConstraints watches them until ctx is done.
func (w *Watcher) watchConstraints(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	for _, h := range w.usage.constraints.watches {
		c := w.connect(h)
		c.max = constraintsRetry
		c.convert = func(obj any) any { return compact(obj) }
		running.Go(func() { w.reflect(ctx, c, &constraintFeed{w.usage.constraints, h}) })
	}
}

// constraintFeed is the store that a reflector feeds.
type constraintFeed struct {
	c      *constraints
	health *watchHealth
}

var _ cache.TransformingStore = (*constraintFeed)(nil)

// Transformer has reflectors keep compact objects while they stream a list.
func (f *constraintFeed) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) { return compact(obj), nil }
}

// Add implements cache.ReflectorStore.
func (f *constraintFeed) Add(obj any) error { return f.Update(obj) }

// Update implements cache.ReflectorStore.
func (f *constraintFeed) Update(obj any) error {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	f.c.put(f.health.resource.name, compact(obj))
	return nil
}

// Delete implements cache.ReflectorStore.
func (f *constraintFeed) Delete(obj any) error {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	f.c.drop(f.health.resource.name, compact(obj).key)
	return nil
}

// Replace implements cache.ReflectorStore: a list is complete.
func (f *constraintFeed) Replace(items []any, _ string) error {
	f.c.mu.Lock()
	name := f.health.resource.name
	for key := range f.c.held[name] {
		f.c.drop(name, key)
	}
	f.c.unheld[name] = 0
	for _, item := range items {
		if l, ok := item.(*listed); ok {
			item = l.compact
		}
		f.c.put(name, compact(item))
	}
	f.c.mu.Unlock()
	f.health.complete()
	return nil
}

// Resync implements cache.ReflectorStore; there is nothing to repeat.
func (f *constraintFeed) Resync() error { return nil }

// constraint is what is kept of one object: a limitRange, a
// recommend.Quota, an object.WorkloadKey that a VPA sizes, or nil.
type constraint struct {
	key   object.Key
	value any
}

// compact keeps what counts; what is compact already stays.
func compact(obj any) *constraint {
	if c, ok := obj.(*constraint); ok {
		return c
	}
	c := &constraint{key: keyOf(obj)}
	switch o := obj.(type) {
	case *corev1.LimitRange:
		c.value = limitRangeOf(o)
	case *corev1.ResourceQuota:
		if len(o.Spec.Scopes) == 0 && o.Spec.ScopeSelector == nil { // Else it bounds some pods only, and which is not known here.
			c.value = quotaOf(o)
		}
	case *vpa:
		if o.Spec.UpdatePolicy.UpdateMode != "Off" { // Off only looks.
			ref := &o.Spec.TargetRef
			c.value = object.WorkloadKey{Namespace: o.Namespace, Kind: convert.Text(ref.Kind, 63), Name: convert.Text(ref.Name, 253)}
		}
	}
	return c
}

// put holds an object; under the lock.
func (c *constraints) put(resource string, o *constraint) {
	c.drop(resource, o.key)
	if o.value == nil {
		return
	}
	if len(c.held[resource]) >= maxConstraints {
		c.unheld[resource]++
		return
	}
	c.held[resource][o.key] = o.value
	switch v := o.value.(type) {
	case limitRange:
		c.ranges[o.key.Namespace] = append(c.ranges[o.key.Namespace], o.key)
	case recommend.Quota:
		c.quotas[o.key.Namespace] = append(c.quotas[o.key.Namespace], o.key)
	case object.WorkloadKey:
		c.vpas[v] = append(c.vpas[v], o.key.Name)
	}
}

func (c *constraints) drop(resource string, key object.Key) {
	held, ok := c.held[resource][key]
	if !ok {
		return
	}
	delete(c.held[resource], key)
	switch v := held.(type) {
	case limitRange:
		without(c.ranges, key.Namespace, key)
	case recommend.Quota:
		without(c.quotas, key.Namespace, key)
	case object.WorkloadKey:
		without(c.vpas, v, key.Name)
	}
}

// without removes a value from an index.
func without[K, V comparable](index map[K][]V, at K, value V) {
	left := slices.DeleteFunc(index[at], func(v V) bool { return v == value })
	if len(left) == 0 {
		delete(index, at)
		return
	}
	index[at] = left
}

// fill completes the context of a container with the strictest of what bounds it.
func (c *constraints) fill(ctx *recommend.Context, key object.WorkloadKey, others *object.Allotment) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, at := range c.ranges[key.Namespace] {
		if r, ok := c.held[rangesResource][at].(limitRange); ok {
			stricterRange(&ctx.LimitRange, &r.container)
			// Requests and limits of a pod are bounded; the sum of limits is the larger, that
			// of requests the smaller. A pod whose containers all keep the ratio keeps it.
			stricterRange(&ctx.LimitRange, &recommend.LimitRange{
				Min: lacking(r.pod.Min, others.Requests), Max: left(r.pod.Max, others.Limits),
				MaxRatioCPU: r.pod.MaxRatioCPU, MaxRatioMemory: r.pod.MaxRatioMemory,
			})
		}
	}
	for _, at := range c.quotas[key.Namespace] {
		if q, ok := c.held[quotasResource][at].(recommend.Quota); ok {
			stricterQuota(&ctx.Quota, &q)
		}
	}
	if names := c.vpas[key]; len(names) > 0 {
		ctx.VPA = slices.Min(names)
	}
}

// excess says which objects are not held, for health; empty where all are.
func (c *constraints) excess(resource string) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if n := c.unheld[resource]; n > 0 {
		return fmt.Sprintf("%d of them are not held, the bound is %d; they bound no recommendation", n, maxConstraints)
	}
	return ""
}

// stricter is the lower of two bounds, of which 0 bounds nothing.
func stricter[N int64 | float64](a, b N) N {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func stricterRange(into, r *recommend.LimitRange) {
	into.Min = into.Min.Max(r.Min)
	into.Max.CPUMillis = stricter(into.Max.CPUMillis, r.Max.CPUMillis)
	into.Max.MemoryBytes = stricter(into.Max.MemoryBytes, r.Max.MemoryBytes)
	into.MaxRatioCPU = stricter(into.MaxRatioCPU, r.MaxRatioCPU)
	into.MaxRatioMemory = stricter(into.MaxRatioMemory, r.MaxRatioMemory)
}

// limitRange is what bounds a container, and what all of a pod.
type limitRange struct{ container, pod recommend.LimitRange }

func limitRangeOf(l *corev1.LimitRange) limitRange {
	var out limitRange
	for i := range l.Spec.Limits {
		item := &l.Spec.Limits[i]
		ratio := func(name corev1.ResourceName) float64 {
			q := item.MaxLimitRequestRatio[name]
			return max(q.AsApproximateFloat64(), 0)
		}
		bounds := recommend.LimitRange{
			Min: amountsOf(item.Min), Max: amountsOf(item.Max),
			MaxRatioCPU: ratio(corev1.ResourceCPU), MaxRatioMemory: ratio(corev1.ResourceMemory),
		}
		switch item.Type {
		case corev1.LimitTypeContainer:
			stricterRange(&out.container, &bounds)
		case corev1.LimitTypePod:
			stricterRange(&out.pod, &bounds)
		default: // Volumes, which are none of ours.
		}
	}
	return out
}

func stricterQuota(into, q *recommend.Quota) {
	least := func(limited *bool, held *int64, also bool, left int64) {
		if also && (!*limited || left < *held) {
			*limited, *held = true, left
		}
	}
	least(&into.CPURequests, &into.Requests.CPUMillis, q.CPURequests, q.Requests.CPUMillis)
	least(&into.MemoryRequests, &into.Requests.MemoryBytes, q.MemoryRequests, q.Requests.MemoryBytes)
	least(&into.CPULimits, &into.Limits.CPUMillis, q.CPULimits, q.Limits.CPUMillis)
	least(&into.MemoryLimits, &into.Limits.MemoryBytes, q.MemoryLimits, q.Limits.MemoryBytes)
}

// quotaOf is what is left; where one bounds the same under two names, the least.
func quotaOf(q *corev1.ResourceQuota) recommend.Quota {
	var out recommend.Quota
	left := func(limited *bool, held *int64, value func(*quantity.Quantity) int64, names ...corev1.ResourceName) {
		for _, name := range names {
			hard, ok := q.Status.Hard[name]
			if !ok {
				continue
			}
			used := q.Status.Used[name]
			if n := max(value(&hard)-value(&used), 0); !*limited || n < *held {
				*limited, *held = true, n
			}
		}
	}
	left(&out.CPURequests, &out.Requests.CPUMillis, (*quantity.Quantity).MilliValue, corev1.ResourceRequestsCPU, corev1.ResourceCPU)
	left(&out.MemoryRequests, &out.Requests.MemoryBytes, (*quantity.Quantity).Value, corev1.ResourceRequestsMemory, corev1.ResourceMemory)
	left(&out.CPULimits, &out.Limits.CPUMillis, (*quantity.Quantity).MilliValue, corev1.ResourceLimitsCPU)
	left(&out.MemoryLimits, &out.Limits.MemoryBytes, (*quantity.Quantity).Value, corev1.ResourceLimitsMemory)
	return out
}

func amountsOf(list corev1.ResourceList) (out object.Resources) {
	if q, ok := list[corev1.ResourceCPU]; ok {
		out.CPUMillis = max(q.MilliValue(), 0)
	}
	if q, ok := list[corev1.ResourceMemory]; ok {
		out.MemoryBytes = max(q.Value(), 0)
	}
	return out
}
