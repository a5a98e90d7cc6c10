package watcher

import (
	"slices"

	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// The kinds of policies.
const (
	kindAutoscaler = "HorizontalPodAutoscaler"
	kindBudget     = "PodDisruptionBudget"
)

// policies holds the objects of one kind that only their own status matters of,
// and looks at each. It is a sink; the watcher's lock guards it.
type policies[O any] struct {
	w         *Watcher
	resource  string
	kind      string
	held      map[object.Key]*O
	ident     func(*O) (object.Key, string)
	detectors []detect.Detector[O]
	subject   func(*detect.Input[O]) detect.Subject
}

func (w *Watcher) newAutoscalers() *policies[object.Autoscaler] {
	return &policies[object.Autoscaler]{
		w: w, resource: autoscalersResource, kind: kindAutoscaler, held: make(map[object.Key]*object.Autoscaler),
		ident:     func(a *object.Autoscaler) (object.Key, string) { return a.Key, a.UID },
		detectors: w.opts.Detectors.Autoscalers, subject: detect.AutoscalerSubject,
	}
}

func (w *Watcher) newBudgets() *policies[object.Budget] {
	return &policies[object.Budget]{
		w: w, resource: budgetsResource, kind: kindBudget, held: make(map[object.Key]*object.Budget),
		ident:     func(b *object.Budget) (object.Key, string) { return b.Key, b.UID },
		detectors: w.opts.Detectors.Budgets,
		subject: func(in *detect.BudgetInput) detect.Subject { // Only where there is something to say of it.
			if key, ok := w.store.Selected(in.Cur.Namespace, in.Cur.Selector); ok {
				in.Workload = detect.Workload{Kind: key.Kind, Name: key.Name}
			}
			return detect.BudgetSubject(in)
		},
	}
}

func (p *policies[O]) put(obj any) {
	if o, ok := obj.(*O); ok {
		p.w.mu.Lock()
		defer p.w.mu.Unlock()
		p.keep(o, false)
	}
}

func (p *policies[O]) remove(key object.Key, uid string, _ any) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if held := p.held[key]; held != nil {
		if _, known := p.ident(held); uid == "" || known == uid {
			p.drop(held)
		}
	}
}

func (p *policies[O]) replace(objs []any, kept map[object.Key]bool, again bool) {
	present := make(map[object.Key]bool, len(objs))
	for _, obj := range objs {
		if o, ok := obj.(*O); ok {
			key, _ := p.ident(o)
			present[key] = true
		}
	}
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	var lost []object.Key
	for key := range p.held {
		if !present[key] && !kept[key] {
			lost = append(lost, key)
		}
	}
	slices.SortFunc(lost, object.Key.Compare)
	for _, key := range lost {
		p.drop(p.held[key])
		p.w.quarantine.release(p.resource, key, "")
	}
	for _, obj := range objs {
		if o, ok := obj.(*O); ok {
			p.keep(o, !again)
		}
	}
}

// keep holds an object and looks at it. Another one of its name was deleted
// unseen.
func (p *policies[O]) keep(o *O, atStart bool) {
	key, uid := p.ident(o)
	before := p.held[key]
	if before != nil {
		if _, known := p.ident(before); known != uid {
			p.drop(before)
			before = nil
		}
	}
	p.held[key] = o
	p.look(before, o, false, atStart)
}

func (p *policies[O]) drop(o *O) {
	key, uid := p.ident(o)
	p.look(o, o, true, false)
	delete(p.held, key)
	p.w.forget(ref{p.kind, key, uid})
}

func (p *policies[O]) look(before, o *O, gone, atStart bool) {
	key, uid := p.ident(o)
	look(p.w, &glance[O]{
		resource: p.resource, ref: ref{p.kind, key, uid}, detectors: p.detectors, subject: p.subject, atStart: atStart,
		in: detect.Input[O]{Prev: before, Cur: o, Gone: gone},
	})
}

// again looks at an object that did not change, if it is known.
func (p *policies[O]) again(r ref) {
	o := p.held[r.key]
	if o == nil {
		return
	}
	if _, uid := p.ident(o); uid == r.uid {
		p.look(o, o, false, false)
	}
}
