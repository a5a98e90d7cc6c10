package store

import (
	"k8s.io/apimachinery/pkg/labels"

	"github.com/rightsizer/rightsizer/watcher/object"
)

// Selected resolves the workload whose pods a selector selects, by the pod
// templates of Deployments, StatefulSets and DaemonSets; false where there is none,
// or several.
func (s *Store) Selected(namespace string, by labels.Selector) (key object.WorkloadKey, ok bool) {
	if by == nil {
		return key, false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, c := range s.templates[namespace] {
		if !by.Matches(c.PodLabels) {
			continue
		}
		if top, _ := s.top(c); !ok {
			key, ok = top, true
		} else if top != key {
			return object.WorkloadKey{}, false
		}
	}
	return key, ok
}

func (s *Store) putTemplate(c *object.Controller) {
	if c.PodLabels == nil {
		s.dropTemplate(c) // It may have had one.
		return
	}
	known := s.templates[c.Namespace]
	if known == nil {
		known = make(map[string]*object.Controller)
		s.templates[c.Namespace] = known
	}
	known[c.UID] = c
}

func (s *Store) dropTemplate(c *object.Controller) {
	known := s.templates[c.Namespace]
	delete(known, c.UID)
	if len(known) == 0 {
		delete(s.templates, c.Namespace)
	}
}
