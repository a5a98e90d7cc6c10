package store

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// Cluster sums up nodes and pods. Identity, version and problems are not the
// store's to say and stay empty.
func (s *Store) Cluster() *rightsizerv1.Cluster {
	out := &rightsizerv1.Cluster{}
	var capacity, requested object.Resources
	nodes := s.allNodes()
	for _, n := range nodes {
		out.Nodes++
		if n.Ready {
			out.ReadyNodes++
		}
		capacity = capacity.Plus(n.Allocatable)
	}
	for _, pod := range s.Pods() {
		out.Pods++
		if pod.Phase == object.PhaseRunning {
			out.RunningPods++
		}
		if pod.Node != "" && !pod.Ended() {
			requested = requested.Plus(pod.Requests)
		}
	}
	out.Capacity, out.Requested = resources(capacity), resources(requested)
	out.Provider = provider(nodes)
	return out
}

// Nodes returns all nodes by name. problems may be nil.
func (s *Store) Nodes(problems func(node string) int32) []*rightsizerv1.Node {
	type load struct {
		requested object.Resources
		pods      int32
	}
	nodes := s.allNodes()
	loads := make(map[string]*load, len(nodes))
	for _, pod := range s.Pods() {
		if pod.Node == "" || pod.Ended() {
			continue
		}
		l := loads[pod.Node]
		if l == nil {
			l = &load{}
			loads[pod.Node] = l
		}
		l.pods++
		l.requested = l.requested.Plus(pod.Requests)
	}
	slices.SortFunc(nodes, func(a, b *object.Node) int { return cmp.Compare(a.Name, b.Name) })
	out := make([]*rightsizerv1.Node, 0, len(nodes))
	for _, n := range nodes {
		m := &rightsizerv1.Node{
			Name: n.Name, Uid: n.UID, Ready: n.Ready, Unschedulable: n.Unschedulable,
			Pressures: n.Pressures, Allocatable: resources(n.Allocatable),
			InstanceType: n.InstanceType, Zone: n.Zone, KubeletVersion: n.KubeletVersion,
			CreateTime: timestamp(n.CreateTime),
		}
		l := loads[n.Name]
		if l == nil {
			l = &load{}
		}
		m.Pods, m.Requested = l.pods, resources(l.requested)
		if problems != nil {
			m.OpenProblems = problems(n.Name)
		}
		out = append(out, m)
	}
	return out
}

func (s *Store) allNodes() []*object.Node {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]*object.Node, 0, len(s.nodes))
	for _, n := range s.nodes {
		out = append(out, n)
	}
	return out
}

// provider is what the nodes agree on; nodes that say nothing have no vote.
func provider(nodes []*object.Node) string {
	agreed := ""
	for _, n := range nodes {
		said := ProviderOf(n)
		switch {
		case said == "" || said == agreed:
		case agreed == "":
			agreed = said
		default:
			return "mixed"
		}
	}
	return agreed
}

// ProviderOf reads the scheme of a providerID (aws:///eu-west-1a/i-0abc).
func ProviderOf(n *object.Node) string {
	scheme, _, ok := strings.Cut(n.ProviderID, "://")
	if !ok || scheme == "" || len(scheme) > 64 {
		return n.Distribution
	}
	if scheme == "gce" {
		return "gcp"
	}
	return scheme
}

// Inhabited are the namespaces with a pod, ended or not, or a controller, sorted.
func (s *Store) Inhabited() []string {
	s.mu.RLock()
	seen := make(map[string]struct{}, 64)
	for key := range s.pods {
		seen[key.Namespace] = struct{}{}
	}
	for _, c := range s.controllers {
		seen[c.Namespace] = struct{}{}
	}
	s.mu.RUnlock()
	return slices.Sorted(maps.Keys(seen))
}
