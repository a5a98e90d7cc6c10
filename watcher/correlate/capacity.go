package correlate

import (
	"fmt"
	"time"
)

// capacity joins pods of several workloads that find no room in the cluster.
type capacity struct{}

// Name implements Rule.
func (capacity) Name() string { return "capacity" }

// Links implements Rule.
func (capacity) Links() []Link {
	return []Link{{
		// A node that fills up later does not explain who found no room before.
		Causes: []string{typeNodeFull}, Effects: []string{typeNoResources, typeNodeFull}, by: byCluster, crowd: true,
		Before: 10 * time.Second, After: window, Confidence: 65,
		Basis: "a node was full at that time",
	}, {
		Causes: []string{typeNoResources}, Effects: []string{typeNoResources}, by: byCluster, crowd: true,
		After: window, Confidence: 50,
		Basis: "pods of several workloads found no room at the same time; each may also ask for too much",
	}}
}

// Leads implements Rule.
func (capacity) Leads(in *Picture) bool {
	return in.rootIs(typeNodeFull) || in.rootIs(typeNoResources) && in.workloads() > 1
}

// Summary implements Rule.
func (capacity) Summary(in *Picture) string {
	full, waiting := in.count(typeNodeFull), in.count(typeNoResources)
	switch {
	case waiting == 0:
		return isAre(full, "node") + " full."
	case full == 0:
		return fmt.Sprintf("%s no room in the cluster: %s of %s.", finds(in.workloads()), plural(waiting, "pod"), in.whose())
	}
	return fmt.Sprintf("%s full, and %s of %s found no room.", isAre(full, "node"), plural(waiting, "pod"), in.whose())
}

func finds(n int) string {
	if n == 1 {
		return "1 workload finds"
	}
	return plural(n, "workload") + " find"
}
