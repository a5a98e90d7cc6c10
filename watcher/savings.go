package watcher

import (
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/recommend"
	"github.com/rightsizer/rightsizer/watcher/store"
)

// price is what a core and a GiB cost on the node of a pod.
func (w *Watcher) price(pod *object.Pod) recommend.Price {
	node := w.store.Node(pod.Node)
	if node == nil {
		return recommend.PriceOf(w.tuned.Load().Price, "", "")
	}
	return recommend.PriceOf(w.tuned.Load().Price, store.ProviderOf(node), node.InstanceType)
}

// Savings sums what the recommendations for these namespaces cost and would cost,
// for all where none is named: the total, each namespace and each workload, the
// largest saving first.
func (w *Watcher) Savings(in []string) (total *rightsizerv1.Savings, namespaces, workloads []*rightsizerv1.Savings) {
	return recommend.SumSavings(w.Recommendations(in))
}
