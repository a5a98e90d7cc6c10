package watcher

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/rightsizer/rightsizer/watcher/object"
)

// What is remembered of a workload goes with it: of one whose kind is not watched, or
// that was deleted before its pods, an hour after the last sample.
func TestFitsAreForgotten(t *testing.T) {
	w, clock, samples := measuredCluster(t, 9)
	for i := range 2 {
		w.store.DeleteController(fmt.Sprintf("rs-%d", i))
	}
	round(w, clock, samples)
	w.recordMinute()
	assert.Len(t, w.usage.fits, 3)

	rs := &object.Controller{Kind: "ReplicaSet", UID: "rs-1", Key: object.Key{Namespace: "shop", Name: "service-1-5d4f"}}
	w.store.PutController(rs)
	w.mu.Lock()
	w.dropController("replicasets", rs)
	w.mu.Unlock()
	assert.Len(t, w.usage.fits, 2)
	round(w, clock, samples)
	assert.Len(t, w.usage.fits, 3, "its pods are still measured")

	clock.Step(59 * time.Minute)
	w.recordMinute()
	assert.Len(t, w.usage.fits, 3)
	clock.Step(time.Minute)
	w.recordMinute()
	assert.Len(t, w.usage.fits, 1, "that of the one that is watched")
}
