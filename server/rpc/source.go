package rpc

import (
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// Source is the current truth about the cluster. What it returns belongs to the
// caller: it may be sorted, and the messages in it are not changed by anybody.
type Source interface {
	// Cluster describes the cluster; its synced_time is unset before the first
	// full picture, its id empty before it is known.
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

// own returns the cluster if the request may be answered: it is synced, and the
// request names no other.
func own(source Source, health Health, asked string) (*rightsizerv1.Cluster, error) {
	cluster := source.Cluster()
	if cluster.GetSyncedTime() == nil {
		return nil, rpcerr.Unavailable(rpcerr.ReasonNotSynced,
			"the first full picture of the cluster is not complete yet"+waitingFor(health), retrySync)
	}
	if err := named(cluster, asked); err != nil {
		return nil, err
	}
	return cluster, nil
}

// named refuses a request for another cluster.
func named(cluster *rightsizerv1.Cluster, asked string) error {
	if asked == "" || asked == cluster.GetId() {
		return nil
	}
	return rpcerr.NotFound(rpcerr.ReasonClusterNotFound, "cluster", asked, "own", cluster.GetId())
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
