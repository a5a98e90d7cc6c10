package watcher

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/watcher/convert"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/recommend"
)

// constraints are what namespaces allow, and what sizes workloads already. They
// change seldom and no event is made of them, so that they are read now and then
// instead of being watched. Nobody changes them once they are there.
type constraints struct {
	ranges map[string]recommend.LimitRange
	quotas map[string]recommend.Quota
	// vpas are the names of VerticalPodAutoscalers that may change sizes.
	vpas map[object.WorkloadKey]string
}

// constraintsEvery is how old what is known of them may be.
const constraintsEvery = 5 * time.Minute

// maxConstraints bounds the objects read of each kind.
const maxConstraints = 10_000

// keepConstraints reads them again and again until ctx is done.
func (w *Watcher) keepConstraints(ctx context.Context) {
	for {
		w.usage.constraints.Store(w.readConstraints(ctx))
		timer := w.opts.Clock.NewTimer(constraintsEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
		}
	}
}

// readConstraints reads what may be read; the rest bounds nothing, and is logged.
func (w *Watcher) readConstraints(ctx context.Context) *constraints {
	c := &constraints{
		ranges: make(map[string]recommend.LimitRange), quotas: make(map[string]recommend.Quota), vpas: make(map[object.WorkloadKey]string),
	}
	for _, read := range []struct {
		what string
		page func(ctx context.Context, opts metav1.ListOptions) (metav1.ListInterface, int, error)
	}{
		{"limitranges", func(ctx context.Context, opts metav1.ListOptions) (metav1.ListInterface, int, error) {
			list := &corev1.LimitRangeList{}
			err := w.api.page(ctx, "/api/v1/limitranges", opts, list)
			for i := range list.Items {
				c.limitRange(&list.Items[i])
			}
			return list, len(list.Items), err
		}},
		{"resourcequotas", func(ctx context.Context, opts metav1.ListOptions) (metav1.ListInterface, int, error) {
			list := &corev1.ResourceQuotaList{}
			err := w.api.page(ctx, "/api/v1/resourcequotas", opts, list)
			for i := range list.Items {
				c.quota(&list.Items[i])
			}
			return list, len(list.Items), err
		}},
		{"verticalpodautoscalers", func(ctx context.Context, opts metav1.ListOptions) (metav1.ListInterface, int, error) {
			list := &vpaList{}
			raw, err := w.api.raw(ctx, "/apis/autoscaling.k8s.io/v1/verticalpodautoscalers", opts)
			if err == nil {
				err = json.Unmarshal(raw, list)
			}
			for i := range list.Items {
				c.vpa(&list.Items[i])
			}
			return list, len(list.Items), err
		}},
	} {
		err := pages(ctx, read.page)
		if apierrors.IsNotFound(err) {
			continue // The cluster has no such kind, which bounds nothing.
		}
		if err != nil && ctx.Err() == nil {
			w.opts.Logger.Warn("what bounds recommendations cannot be read, they are not bounded by it",
				slog.String("resource", read.what), slog.String("cause", convert.Text(explain(err), 512)))
		}
	}
	return c
}

func pages(ctx context.Context, page func(context.Context, metav1.ListOptions) (metav1.ListInterface, int, error)) error {
	opts := metav1.ListOptions{Limit: 250}
	for total := 0; ; {
		list, n, err := page(ctx, opts)
		if err != nil {
			return err
		}
		total += n
		opts.Continue = list.GetContinue()
		if opts.Continue == "" {
			return nil
		}
		if total >= maxConstraints {
			return fmt.Errorf("more than %d objects", maxConstraints)
		}
	}
}

// limitRange keeps what bounds a container, the strictest of all.
func (c *constraints) limitRange(l *corev1.LimitRange) {
	r := c.ranges[l.Namespace]
	least := func(a, b int64) int64 {
		if a == 0 || b != 0 && b < a {
			return b
		}
		return a
	}
	for i := range l.Spec.Limits {
		item := &l.Spec.Limits[i]
		if item.Type != corev1.LimitTypeContainer {
			continue
		}
		low, high := amountsOf(item.Min), amountsOf(item.Max)
		r.Min = r.Min.Max(low)
		r.Max = object.Resources{CPUMillis: least(r.Max.CPUMillis, high.CPUMillis), MemoryBytes: least(r.Max.MemoryBytes, high.MemoryBytes)}
		ratio := func(held float64, name corev1.ResourceName) float64 {
			if q, ok := item.MaxLimitRequestRatio[name]; ok {
				if v := q.AsApproximateFloat64(); v > 0 && (held == 0 || v < held) {
					return v
				}
			}
			return held
		}
		r.MaxRatioCPU, r.MaxRatioMemory = ratio(r.MaxRatioCPU, corev1.ResourceCPU), ratio(r.MaxRatioMemory, corev1.ResourceMemory)
	}
	c.ranges[l.Namespace] = r
}

// quota keeps what is left; where several bound the same, the least.
func (c *constraints) quota(q *corev1.ResourceQuota) {
	if len(q.Spec.Scopes) > 0 || q.Spec.ScopeSelector != nil {
		return // It bounds some pods only, and which is not known here.
	}
	out := c.quotas[q.Namespace]
	left := func(limited *bool, held *int64, milli bool, names ...corev1.ResourceName) {
		for _, name := range names {
			hard, ok := q.Status.Hard[name]
			if !ok {
				continue
			}
			used := q.Status.Used[name]
			n := max(value(&hard, milli)-value(&used, milli), 0)
			if !*limited || n < *held {
				*held = n
			}
			*limited = true
		}
	}
	left(&out.CPURequests, &out.Requests.CPUMillis, true, corev1.ResourceRequestsCPU, corev1.ResourceCPU)
	left(&out.MemoryRequests, &out.Requests.MemoryBytes, false, corev1.ResourceRequestsMemory, corev1.ResourceMemory)
	left(&out.CPULimits, &out.Limits.CPUMillis, true, corev1.ResourceLimitsCPU)
	left(&out.MemoryLimits, &out.Limits.MemoryBytes, false, corev1.ResourceLimitsMemory)
	c.quotas[q.Namespace] = out
}

func value(q *quantity.Quantity, milli bool) int64 {
	if milli {
		return q.MilliValue()
	}
	return q.Value()
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

// vpaList is what counts of VerticalPodAutoscalers, which are a CRD.
type vpaList struct {
	metav1.ListMeta `json:"metadata"`

	Items []vpa `json:"items"`
}

type vpa struct {
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Spec struct {
		TargetRef struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"targetRef"`
		UpdatePolicy struct {
			UpdateMode string `json:"updateMode"`
		} `json:"updatePolicy"`
	} `json:"spec"`
}

// vpa keeps those that change sizes; mode Off only looks.
func (c *constraints) vpa(v *vpa) {
	if v.Spec.UpdatePolicy.UpdateMode == "Off" {
		return
	}
	key := object.WorkloadKey{Namespace: v.Metadata.Namespace, Kind: v.Spec.TargetRef.Kind, Name: v.Spec.TargetRef.Name}
	c.vpas[key] = convert.Text(v.Metadata.Name, 253)
}

// fill completes the context of a container; nil knows nothing.
func (c *constraints) fill(ctx *recommend.Context, key object.WorkloadKey) {
	if c == nil {
		return
	}
	ctx.LimitRange, ctx.Quota, ctx.VPA = c.ranges[key.Namespace], c.quotas[key.Namespace], c.vpas[key]
}
