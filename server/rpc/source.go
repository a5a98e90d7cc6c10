package rpc

import (
	"context"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// Source is the current truth about the cluster. What it returns belongs to the
// caller: it may be sorted, and the messages in it are not changed by anybody.
type Source interface {
	// Synced is true once the first full picture of the cluster is complete.
	Synced() bool
	// ClusterID is the cluster's id, empty before it is known.
	ClusterID() string
	// Cluster describes the cluster.
	Cluster() *rightsizerv1.Cluster
	// Nodes lists the nodes in any order.
	Nodes() []*rightsizerv1.Node
	// Workloads lists the workloads in any order.
	Workloads() []*rightsizerv1.Workload
	// Workload describes one workload, false where it is not known.
	Workload(namespace, kind, name string) (*rightsizerv1.GetWorkloadResponse, bool)
}

// Health tells how the operator's parts are doing.
type Health interface {
	// Components lists each part in a fixed order, at most 64.
	Components() []*rightsizerv1.ComponentHealth
	// Open is true where the API asks nobody who he is.
	Open() bool
}

// retrySync is when a client should ask again while the first picture is made;
// it takes seconds on a healthy cluster.
const retrySync = 2 * time.Second

// answerable refuses a request before the first picture, and one for another
// cluster. What it waits for may name objects of any namespace: that is told to who
// may see all.
func answerable(ctx context.Context, source Source, health Health, asked string) error {
	if !source.Synced() {
		text := "the first full picture of the cluster is not complete yet"
		if auth.GrantOf(ctx).All() {
			text += waitingFor(health)
		}
		return rpcerr.Unavailable(rpcerr.ReasonNotSynced, text, retrySync)
	}
	return named(source.ClusterID(), asked)
}

// named refuses a request for another cluster than own.
func named(own, asked string) error {
	if asked == "" || asked == own {
		return nil
	}
	return rpcerr.NotFound(rpcerr.ReasonClusterNotFound, "cluster", asked, "own", own)
}

// waitingFor names the first part that is not there yet, and why.
func waitingFor(health Health) string {
	for _, c := range health.Components() {
		if c.GetState() == rightsizerv1.HealthState_HEALTH_STATE_OK {
			continue
		}
		text := ": " + c.GetComponent()
		if c.GetReason() != "" {
			text += " (" + c.GetReason() + ")"
		}
		return text
	}
	return ""
}
