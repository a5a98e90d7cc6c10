package store

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/rightsizer/rightsizer/watcher/object"
)

// Store is the current truth.
type Store struct {
	mu          sync.RWMutex
	pods        map[object.Key]*object.Pod
	nodes       map[string]*object.Node
	controllers map[string]*object.Controller // by UID
	// groups count the pods of each direct controller, by UID.
	groups map[string]*group
	// children are the controllers that name a controller as theirs, by UID.
	children map[string]map[string]struct{}
	// retired are controllers that are gone while pods of theirs are not yet:
	// a pod keeps its workload to its end. By UID, each with a group.
	retired map[string]*object.Controller
	// loads are what the pods on each node need of it, by the node's name.
	loads map[string]*object.NodeLoad
	// templates are the controllers whose pod template is known, by namespace and
	// UID.
	templates map[string]map[string]*object.Controller
}

type group struct {
	pods  int
	ready int
}

// New returns an empty Store.
func New() *Store {
	return &Store{
		pods:        make(map[object.Key]*object.Pod),
		nodes:       make(map[string]*object.Node),
		controllers: make(map[string]*object.Controller),
		groups:      make(map[string]*group),
		children:    make(map[string]map[string]struct{}),
		retired:     make(map[string]*object.Controller),
		loads:       make(map[string]*object.NodeLoad),
		templates:   make(map[string]map[string]*object.Controller),
	}
}

// Pod returns the pod of that name, nil where there is none.
func (s *Store) Pod(key object.Key) *object.Pod {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.pods[key]
}

// Pods returns all pods in no order.
func (s *Store) Pods() []*object.Pod {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]*object.Pod, 0, len(s.pods))
	for _, p := range s.pods {
		out = append(out, p)
	}
	return out
}

// TopUID is the UID of the last owner named on a pod's way up; empty for a bare
// pod.
func (s *Store) TopUID(pod *object.Pod) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.resolve(pod).topUID
}

// Namespaces returns the namespaces that have pods which have not ended, in no
// order.
func (s *Store) Namespaces() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := make(map[string]bool)
	for _, p := range s.pods {
		if !found[p.Namespace] && !p.Ended() {
			found[p.Namespace] = true
		}
	}
	return slices.Collect(maps.Keys(found))
}

// PutPod adds a pod or replaces the one of its name.
func (s *Store) PutPod(pod *object.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.pods[pod.Key]
	s.pods[pod.Key] = pod
	// In this order, so that a group does not come to nothing in between.
	s.count(pod, +1)
	s.count(before, -1)
	s.burden(pod, +1)
	s.burden(before, -1)
}

// DeletePod forgets a pod.
func (s *Store) DeletePod(key object.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(s.pods[key], -1)
	s.burden(s.pods[key], -1)
	delete(s.pods, key)
}

// burden adds a pod to its node's load, or takes it off.
func (s *Store) burden(pod *object.Pod, by int64) {
	load, name := object.LoadOf(pod)
	if name == "" {
		return
	}
	sum := s.loads[name]
	if sum == nil {
		sum = &object.NodeLoad{}
		s.loads[name] = sum
	}
	sum.Pods += by
	sum.Movable += by * load.Movable
	for _, of := range []struct{ sum, load *object.Resources }{{&sum.Requested, &load.Requested}, {&sum.Limits, &load.Limits}} {
		of.sum.CPUMillis += by * of.load.CPUMillis
		of.sum.MemoryBytes += by * of.load.MemoryBytes
	}
	if sum.Pods == 0 {
		delete(s.loads, name)
	}
}

// NodeLoad is what the pods on a node need of it.
func (s *Store) NodeLoad(name string) object.NodeLoad {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if load := s.loads[name]; load != nil {
		return *load
	}
	return object.NodeLoad{}
}

// count adds a pod to its controller's group, or takes it out.
func (s *Store) count(pod *object.Pod, by int) {
	if pod == nil || pod.Owner == nil {
		return
	}
	uid := pod.Owner.UID
	g := s.groups[uid]
	if g == nil {
		g = &group{}
		s.groups[uid] = g
	}
	g.pods += by
	if pod.Ready {
		g.ready += by
	}
	if g.pods == 0 {
		delete(s.groups, uid)
		if c := s.retired[uid]; c != nil {
			s.forget(c)
		}
	}
}

// Node returns the node of that name, nil where there is none.
func (s *Store) Node(name string) *object.Node {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.nodes[name]
}

// PutNode adds or replaces a node.
func (s *Store) PutNode(node *object.Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes[node.Name] = node
}

// DeleteNode forgets a node.
func (s *Store) DeleteNode(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.nodes, name)
}

// NodeNames returns the names of all nodes in no order.
func (s *Store) NodeNames() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]string, 0, len(s.nodes))
	for name := range s.nodes {
		out = append(out, name)
	}
	return out
}

// PutController adds or replaces a controller.
func (s *Store) PutController(c *object.Controller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before := s.controllers[c.UID]; before != nil {
		s.unlink(before)
	}
	delete(s.retired, c.UID)
	s.controllers[c.UID] = c
	s.putTemplate(c)
	if c.Parent != nil {
		siblings := s.children[c.Parent.UID]
		if siblings == nil {
			siblings = make(map[string]struct{})
			s.children[c.Parent.UID] = siblings
		}
		siblings[c.UID] = struct{}{}
	}
}

// Controller returns a known controller by UID, nil where there is none.
func (s *Store) Controller(uid string) *object.Controller {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.controllers[uid]
}

// ControllerReady resolves a controller to the one at the top of its owners, and
// counts the ready pods of that.
func (s *Store) ControllerReady(c *object.Controller) (object.WorkloadKey, int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	key, top := s.top(c)
	return key, s.ready(top, 0)
}

// top resolves a controller to the one at the top of its owners.
func (s *Store) top(c *object.Controller) (key object.WorkloadKey, uid string) {
	if c.Parent == nil {
		return object.WorkloadKey{Namespace: c.Namespace, Kind: c.Kind, Name: c.Name}, c.UID
	}
	up := s.resolve(&object.Pod{Key: c.Key, Owner: c.Parent})
	return up.key, up.topUID
}

// DeleteController forgets a controller, by UID, as soon as it has no pods.
func (s *Store) DeleteController(uid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.controllers[uid]
	if c == nil {
		return
	}
	delete(s.controllers, uid)
	s.dropTemplate(c)
	if s.groups[uid] != nil {
		s.retired[uid] = c
		return
	}
	s.unlink(c)
}

func (s *Store) forget(c *object.Controller) {
	delete(s.retired, c.UID)
	s.unlink(c)
}

// unlink takes a controller out of its parent's children.
func (s *Store) unlink(c *object.Controller) {
	if c.Parent == nil {
		return
	}
	siblings := s.children[c.Parent.UID]
	delete(siblings, c.UID)
	if len(siblings) == 0 {
		delete(s.children, c.Parent.UID)
	}
}

// ControllerUIDs returns the UIDs of the known controllers of a kind, in no
// order.
func (s *Store) ControllerUIDs(kind string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []string
	for uid, c := range s.controllers {
		if c.Kind == kind {
			out = append(out, uid)
		}
	}
	return out
}

// Counts returns how many objects are held of each resource.
func (s *Store) Counts() (pods, nodes int, controllers map[string]int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	controllers = make(map[string]int, 5)
	for _, c := range s.controllers {
		controllers[c.Kind]++
	}
	return len(s.pods), len(s.nodes), controllers
}

// maxDepth bounds a chain of owners; a loop in the references ends there.
const maxDepth = 8

// owners is a pod's way up.
type owners struct {
	key object.WorkloadKey
	// chain are the known controllers on the way, the direct one first.
	chain []*object.Controller
	// topUID is the UID of the last owner named; empty for a bare pod.
	topUID string
}

// Workload resolves a pod to the controller at the top of its owners.
func (s *Store) Workload(pod *object.Pod) object.WorkloadKey {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.resolve(pod).key
}

// WorkloadReady resolves as Workload does, and counts the ready pods of the
// workload.
func (s *Store) WorkloadReady(pod *object.Pod) (object.WorkloadKey, int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	up := s.resolve(pod)
	if up.topUID == "" {
		if pod.Ready {
			return up.key, 1
		}
		return up.key, 0
	}
	return up.key, s.ready(up.topUID, 0)
}

// ready counts the ready pods below a controller.
func (s *Store) ready(uid string, depth int) int {
	n := 0
	if g := s.groups[uid]; g != nil {
		n = g.ready
	}
	if depth < maxDepth {
		for child := range s.children[uid] {
			n += s.ready(child, depth+1)
		}
	}
	return n
}

// resolve goes up the owners as far as they are known. Where a ReplicaSet is
// not known, its Deployment follows from the name: the Deployment's, a dash and
// the pod's template hash.
func (s *Store) resolve(pod *object.Pod) owners {
	up := owners{key: object.WorkloadKey{Namespace: pod.Namespace, Kind: "Pod", Name: pod.Name}}
	owner := pod.Owner
	for range maxDepth {
		if owner == nil {
			break
		}
		up.key.Kind, up.key.Name, up.topUID = owner.Kind, owner.Name, owner.UID
		c := s.controllers[owner.UID]
		if c == nil {
			c = s.retired[owner.UID]
		}
		if c == nil {
			if owner.Kind == "ReplicaSet" && pod.TemplateHash != "" {
				if base, ok := strings.CutSuffix(owner.Name, "-"+pod.TemplateHash); ok && base != "" {
					up.key.Kind, up.key.Name = "Deployment", base
				}
			}
			break
		}
		up.chain = append(up.chain, c)
		owner = c.Parent
	}
	return up
}

// tops returns the controllers that are listed though they may have no pods.
func (s *Store) tops() []*object.Controller {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*object.Controller
	for _, c := range s.controllers {
		if c.Parent == nil && slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet", "CronJob"}, c.Kind) {
			out = append(out, c)
		}
	}
	return out
}
