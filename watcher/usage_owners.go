package watcher

import (
	"slices"
	"strings"

	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/usage"
)

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
		out.workloads[s.key] = &owner{key: s.key, newest: s.newest, group: w.grouped(s.key.Kind)}
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
