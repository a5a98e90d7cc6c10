package watcher

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/rightsizer/rightsizer/watcher/object"
)

// Only what is forgotten with its object is remembered: a workload of a kind that
// is not watched, or is deleted before its pods, would never be.
func TestFitsAreThoseOfWatchedWorkloads(t *testing.T) {
	w, clock, samples := measuredCluster(t, 9)
	for i := range 3 {
		w.store.DeleteController(fmt.Sprintf("rs-%d", i))
	}
	round(w, clock, samples)
	assert.Empty(t, w.usage.fits)

	rs := &object.Controller{Kind: "ReplicaSet", UID: "rs-1", Key: object.Key{Namespace: "shop", Name: "service-1-5d4f"}}
	w.store.PutController(rs)
	round(w, clock, samples)
	assert.Len(t, w.usage.fits, 1)

	w.mu.Lock()
	w.dropController("replicasets", rs)
	w.mu.Unlock()
	round(w, clock, samples)
	assert.Empty(t, w.usage.fits, "its pods are still measured")
}
