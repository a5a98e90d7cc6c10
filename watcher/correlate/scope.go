package correlate

import (
	"cmp"
	"strings"
)

// scope is a place that a cause and its effects share.
type scope uint8

const (
	byNode scope = iota
	byWorkload
	byImage
	byQuota
	byCluster
	scopes
)

func (s scope) String() string {
	return [...]string{"node", "workload", "image", "quota", "cluster"}[s]
}

const kindNode = "Node"

// key names one place.
type key struct {
	scope                 scope
	namespace, kind, name string
}

// at is where a problem is; false where it has no such place. The workload of
// what has none is the object itself, and so is that of a workload's own
// problems.
func (p *problem) at(s scope) (key, bool) {
	switch s {
	case byNode:
		return key{scope: s, name: p.node}, p.node != ""
	case byWorkload:
		kind, name := p.workload.GetKind(), p.workload.GetName()
		if name == "" {
			kind, name = p.object.GetKind(), p.object.GetName()
		}
		return key{s, p.namespace, kind, name}, true
	case byImage:
		return key{scope: s, name: p.detail}, p.detail != "" && strings.HasPrefix(p.typ, prefixImage)
	case byQuota:
		return key{scope: s, namespace: p.namespace, name: cmp.Or(p.detail, "?")}, p.typ == typeQuota
	case byCluster:
		return key{scope: s}, true
	default:
		return key{}, false
	}
}
