package watcher

import (
	"cmp"
	"slices"

	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const nodesResource = "nodes"

// nodeSink stores nodes and looks at each.
type nodeSink struct{ w *Watcher }

func (s nodeSink) put(obj any) {
	n, ok := obj.(*object.Node)
	if !ok {
		return
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.putNode(n, false)
}

func (s nodeSink) remove(key object.Key, uid string, obj any) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	held := s.w.machines[key.Name]
	if held == nil || uid != "" && held.UID != uid {
		return
	}
	last := held.Node
	if n, ok := obj.(*object.Node); ok {
		detect.AdvanceNode(held.Node, n, false, s.w.thresholds().NodeStartGrace, s.w.opts.Clock.Now())
		last = n
	}
	s.w.dropNode(last)
}

// replace takes the first list as what was found at start. Later, what is
// missing was deleted unseen.
func (s nodeSink) replace(objs []any, kept map[object.Key]bool, again bool) {
	present := make(map[string]bool, len(objs))
	for _, obj := range objs {
		if n, ok := obj.(*object.Node); ok {
			present[n.Name] = true
		}
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	for _, m := range s.w.nodesByName() {
		if !present[m.Name] && !kept[object.Key{Name: m.Name}] {
			s.w.dropNode(m.Node)
			s.w.quarantine.release(nodesResource, object.Key{Name: m.Name}, "")
		}
	}
	for _, obj := range objs {
		if n, ok := obj.(*object.Node); ok {
			s.w.putNode(n, !again)
		}
	}
}

// nodesByName are the nodes held, in order, so that events come in one that does
// not depend on a map's; under the lock.
func (w *Watcher) nodesByName() []*detect.Machine {
	out := make([]*detect.Machine, 0, len(w.machines))
	for _, m := range w.machines {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b *detect.Machine) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// putNode stores a node, with what is remembered of its former self, and looks
// at it; under the lock. Another node of its name was deleted unseen.
func (w *Watcher) putNode(n *object.Node, atStart bool) {
	var before *object.Node
	if held := w.machines[n.Name]; held != nil {
		if held.UID == n.UID {
			before = held.Node
		} else {
			w.dropNode(held.Node)
		}
	}
	if before == nil {
		named := ref{kindNode, object.Key{Name: n.Name}, n.Name} // Kubelets name it so.
		w.notes.Move(named, ref{kindNode, named.key, n.UID}, n.CreateTime)
	}
	detect.AdvanceNode(before, n, atStart, w.thresholds().NodeStartGrace, w.opts.Clock.Now())
	w.store.PutNode(n)
	w.lookAtNode(n, false, atStart)
}

// dropNode looks at a node's last form and forgets it; under the lock.
func (w *Watcher) dropNode(last *object.Node) {
	w.store.DeleteNode(last.Name)
	w.lookAtNode(last, true, false)
	delete(w.machines, last.Name)
	w.forget(ref{kindNode, object.Key{Name: last.Name}, last.UID})
	w.usage.forgetNode(last.Name)
}

// lookAtNode looks at a node with what its pods need of it now; under the lock.
func (w *Watcher) lookAtNode(n *object.Node, gone, atStart bool) {
	before := w.machines[n.Name]
	now := &detect.Machine{Node: n, Load: w.store.NodeLoad(n.Name)}
	detect.AdvanceMachine(before, now, w.thresholds(), w.opts.Clock.Now())
	w.machines[n.Name] = now
	look(w, &glance[detect.Machine]{
		resource: nodesResource, ref: ref{kindNode, object.Key{Name: n.Name}, n.UID},
		detectors: w.opts.Detectors.Nodes, subject: detect.NodeSubject, atStart: atStart,
		in: detect.NodeInput{Prev: before, Cur: now, Gone: gone, Use: w.usage.nodeLevels(n.Name)},
	})
}

// moved looks at the nodes whose load changes as a pod becomes another; either
// form may be nil. Under the lock, after the store has the new form.
func (w *Watcher) moved(before, after *object.Pod) {
	from, of := object.LoadOf(before)
	to, on := object.LoadOf(after)
	if from == to && of == on {
		return // Nearly always: a change of status.
	}
	if m := w.machines[of]; m != nil {
		w.lookAtNode(m.Node, false, false)
	}
	if m := w.machines[on]; m != nil && on != of {
		w.lookAtNode(m.Node, false, false)
	}
}
