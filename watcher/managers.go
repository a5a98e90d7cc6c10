package watcher

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// maxManagers bounds what is told of one workload.
const maxManagers = 16

// Managers are what else decides on a workload: autoscalers, by name, at most 15 of
// them, then the tool that owns its manifest.
func (w *Watcher) Managers(workload *rightsizerv1.Workload) []*rightsizerv1.WorkloadManager {
	key := object.WorkloadKey{
		Namespace: workload.GetNamespace(), Kind: workload.GetRef().GetKind(), Name: workload.GetRef().GetName(),
	}
	out := w.autoscalersOf(key)
	for _, name := range w.usage.constraints.sizersOf(key) {
		out = append(out, &rightsizerv1.WorkloadManager{
			Kind: "VerticalPodAutoscaler", Name: name, Decides: "the sizes of its pods",
		})
	}
	slices.SortStableFunc(out, func(a, b *rightsizerv1.WorkloadManager) int {
		return cmp.Or(cmp.Compare(a.GetKind(), b.GetKind()), cmp.Compare(a.GetName(), b.GetName()))
	})
	out = out[:min(len(out), maxManagers-1)] // the tool matters most
	if c := w.store.Controller(workload.GetUid()); c != nil && c.Tool != nil {
		out = append(out, &rightsizerv1.WorkloadManager{Kind: c.Tool.Kind, Name: c.Tool.Name, Decides: "the manifest"})
	}
	return out
}

func (w *Watcher) autoscalersOf(key object.WorkloadKey) []*rightsizerv1.WorkloadManager {
	var out []*rightsizerv1.WorkloadManager
	w.scalers(func(scaled object.WorkloadKey, a *object.Autoscaler) {
		if scaled == key {
			out = append(out, &rightsizerv1.WorkloadManager{Kind: kindAutoscaler, Name: a.Name, Decides: replicasBy(a)})
		}
	})
	return out
}

// scalers calls f with each autoscaler and what it scales, under the lock.
func (w *Watcher) scalers(f func(scaled object.WorkloadKey, a *object.Autoscaler)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.autoscalers.held {
		f(object.WorkloadKey{Namespace: a.Namespace, Kind: a.TargetKind, Name: a.TargetName}, a)
	}
}

// replicasBy says what an autoscaler does, for a person.
func replicasBy(a *object.Autoscaler) string {
	var by []string
	if a.CPUUtilization {
		by = append(by, "CPU")
	}
	if a.MemoryUtilization {
		by = append(by, "memory")
	}
	text := fmt.Sprintf("replicas, %d to %d", a.Min, a.Max)
	if len(by) > 0 {
		text += ", by " + strings.Join(by, " and ")
	}
	return text
}

// sizersOf are the VerticalPodAutoscalers that change a workload's sizes.
func (c *constraints) sizersOf(key object.WorkloadKey) []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(c.vpas[key])
}
