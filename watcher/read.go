package watcher

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/convert"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/track"
)

// maxWorkloadProblems bounds the problems of one workload, by the schema.
const maxWorkloadProblems = 1000

// ErrNotSynced is wrapped by what Ready returns before the first picture is
// complete, ErrBlind after too long a time without a watch.
var (
	ErrNotSynced = errors.New("the first picture of the cluster is not complete")
	ErrBlind     = errors.New("the cluster is not watched")
)

// Health says how each part is doing: `kubernetes`, each watch (`watch/pods`),
// and `problems` and `incidents`, whose lists may be incomplete. The order is
// fixed.
func (w *Watcher) Health() []*rightsizerv1.ComponentHealth {
	server := w.health.serverLine()
	out := []*rightsizerv1.ComponentHealth{server.message("kubernetes")}
	for _, h := range w.watches {
		l := h.snapshot()
		if held := w.quarantine.report(h.resource.name); held != "" && l.state == healthOK {
			l.state, l.reason = healthDegraded, held
		}
		out = append(out, l.message("watch/"+h.resource.name))
	}
	out = append(out, w.usageHealth()...)
	return append(out, w.problemsHealth(), w.incidentsHealth())
}

func (w *Watcher) problemsHealth() *rightsizerv1.ComponentHealth {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.tracker.Unlisted(); n > 0 {
		w.problems.set(w.opts.Clock.Now(), healthDegraded,
			fmt.Sprintf("%d problems of now are not listed, the bound is %d; their events are published", n, w.opts.MaxProblems))
	} else {
		w.problems.set(w.opts.Clock.Now(), healthOK, "")
	}
	return w.problems.message("problems")
}

// Synced says whether the first picture of the cluster is complete. It stays
// true.
func (w *Watcher) Synced() bool {
	return !w.ident.syncedAt().IsZero()
}

// missing names the resources whose first list is not complete. One that may
// not be read is not waited for, unless nothing works without it.
func (w *Watcher) missing() []string {
	var out []string
	for _, h := range w.watches {
		if h.resource.name == eventsResource {
			continue // Evidence, from now on: there is no picture to complete.
		}
		synced, forbidden, _, _ := h.status()
		if !synced && (!forbidden || h.resource.needed) {
			out = append(out, h.resource.name)
		}
	}
	return out
}

// Ready returns nil while the watcher has the first picture of the cluster and
// has not been blind for pods or nodes for longer than Options.ReadyGrace.
// Errors wrap ErrNotSynced or ErrBlind.
func (w *Watcher) Ready() error {
	if !w.Synced() {
		server := w.health.serverLine()
		err := fmt.Errorf("%w: waiting for %s", ErrNotSynced, strings.Join(w.missing(), ", "))
		if server.reason != "" {
			err = fmt.Errorf("%w (%s)", err, convert.Text(server.reason, 512))
		}
		return err
	}
	for _, h := range w.watches {
		if !h.resource.needed {
			continue
		}
		_, _, broke, _ := h.status()
		if blind := w.opts.Clock.Since(broke); !broke.IsZero() && blind > w.opts.ReadyGrace {
			return fmt.Errorf("%w: no watch of %s for %s (%s)", ErrBlind, h.resource.name,
				blind.Round(time.Second), convert.Text(h.snapshot().reason, 512))
		}
	}
	return nil
}

// LastActivity is when the API server last said anything on any watch; zero
// before the first word.
func (w *Watcher) LastActivity() time.Time {
	var last time.Time
	for _, h := range w.watches {
		if _, _, _, at := h.status(); at.After(last) {
			last = at
		}
	}
	return last
}

// Cluster describes the cluster as a whole. The id is empty before the API
// server has answered; used and operator_version are for others to fill.
func (w *Watcher) Cluster() *rightsizerv1.Cluster {
	out := w.store.Cluster()
	out.Name, out.Environment = w.opts.ClusterName, w.opts.Environment
	w.ident.mu.RLock()
	out.Id, out.Version = w.ident.cluster, w.ident.version
	w.ident.mu.RUnlock()
	if at := w.ident.syncedAt(); !at.IsZero() {
		out.SyncedTime = timestamppb.New(at)
	}
	out.Used = w.clusterUse()
	workloads, _ := w.counts()
	for _, c := range workloads {
		out.OpenProblems += c.Open
	}
	return out
}

// ClusterID is the cluster's id; empty before the API server has answered,
// unless it was configured.
func (w *Watcher) ClusterID() string {
	return w.ident.clusterID()
}

// Nodes returns all nodes by name.
func (w *Watcher) Nodes() []*rightsizerv1.Node {
	_, nodes := w.counts()
	out := w.store.Nodes(func(name string) int32 { return nodes[name].Open })
	w.fillNodes(out)
	return out
}

// Workloads returns all workloads by namespace, kind and name.
func (w *Watcher) Workloads() []*rightsizerv1.Workload {
	out := w.store.Workloads(w.workloadProblems())
	w.fillWorkloads(out, "")
	return out
}

// Workload returns one workload, its pods by name and its problems of now,
// oldest first, at most 1,000 of each; false where it is not known.
func (w *Watcher) Workload(namespace, kind, name string) (
	*rightsizerv1.Workload, []*rightsizerv1.WorkloadPod, []*rightsizerv1.Event, bool,
) {
	key := object.WorkloadKey{Namespace: namespace, Kind: kind, Name: name}
	workload, pods, ok := w.store.WorkloadByName(key, w.workloadProblems())
	if !ok {
		return nil, nil, nil, false
	}
	w.fillWorkloads([]*rightsizerv1.Workload{workload}, namespace)
	w.fillPods(pods)
	w.mu.Lock()
	problems := w.tracker.Problems(func(k object.WorkloadKey) bool { return k == key })
	w.mu.Unlock()
	track.SortOldestFirst(problems)
	return workload, pods, problems[:min(len(problems), maxWorkloadProblems)], true
}

// Problems returns what is wrong now: the latest event of each problem that goes
// on, and the point causes still visible in status, oldest first. At most
// Options.MaxProblems; Health tells when there are more.
func (w *Watcher) Problems() []*rightsizerv1.Event {
	w.mu.Lock()
	problems := w.tracker.Problems(nil)
	w.mu.Unlock()
	track.SortOldestFirst(problems) // Outside the lock, which detection waits for.
	return problems
}

func (w *Watcher) counts() (map[object.WorkloadKey]track.Count, map[string]track.Count) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tracker.Counts()
}

func (w *Watcher) workloadProblems() func(object.WorkloadKey) (int32, rightsizerv1.Severity) {
	workloads, _ := w.counts()
	return func(key object.WorkloadKey) (int32, rightsizerv1.Severity) {
		c := workloads[key]
		return c.Open, c.Worst
	}
}

// Namespaces are those with a pod or a workload, sorted.
func (w *Watcher) Namespaces() []string { return w.store.Inhabited() }
