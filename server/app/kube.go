package app

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/watcher"
)

// restConfig finds the cluster: the named kubeconfig (a list as KUBECONFIG may
// be), or the pod's own service account. The file in the home folder is never
// read: an operator must not act on a cluster that nobody named.
func restConfig(kubeconfig, version string) (*rest.Config, error) {
	var (
		found *rest.Config
		err   error
	)
	if kubeconfig == "" {
		found, err = rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, errors.New("no cluster to watch: this is no pod, and neither --kubeconfig nor KUBECONFIG names a file " +
				"(the one in the home folder is not used unless named)")
		}
	} else {
		rules := &clientcmd.ClientConfigLoadingRules{Precedence: filepath.SplitList(kubeconfig)}
		if len(rules.Precedence) == 1 {
			rules = &clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}
		}
		found, err = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{}).ClientConfig()
	}
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	found.UserAgent = "rightsizer/" + version
	return found, nil
}

// watch makes the watcher of the configured cluster.
func (a *App) watch(publisher Publisher, registerer prometheus.Registerer) (Cluster, error) {
	kube, err := restConfig(a.cfg.Kubeconfig, a.opts.Version)
	if err != nil && a.cfg.Kubeconfig != "" {
		return nil, a.wrong("kubeconfig", a.cfg.Kubeconfig, err)
	}
	if err != nil {
		return nil, err
	}
	a.leader, err = newLeader(kube, a.leads(), operatorNamespace(a.cfg.OperatorNamespace), identity(), a.logger.With(slog.String("component", "leader")))
	if err != nil {
		return nil, err
	}
	w, err := watcher.New(watcher.Options{
		Usage:  usageOptions(&a.cfg, a.leader.Measures),
		Config: kube, Publisher: publisher, OnSynced: publisher.Synced, Registerer: registerer,
		ClusterID: a.cfg.ClusterID, ClusterName: a.cfg.ClusterName, Environment: a.cfg.Environment, DisableWatchList: a.cfg.DisableWatchList,
		Logger:     a.logger.With(slog.String("component", "watcher")),
		Thresholds: thresholds(&a.cfg), Incidents: incidentOptions(&a.cfg), MaxProblems: a.cfg.MaxProblems,
	})
	if err != nil {
		return nil, fmt.Errorf("watcher: %w", err)
	}
	return watched{Watcher: w, version: a.opts.Version}, nil
}

// watched is the watcher as the API wants it.
type watched struct {
	*watcher.Watcher

	version string
}

// What remediation asks it for, where it can.
var (
	_ remediate.Recommender = watched{}
	_ remediate.Usage       = watched{}
)

// Cluster implements rpc.Source.
func (w watched) Cluster() *rightsizerv1.Cluster {
	cluster := w.Watcher.Cluster()
	cluster.OperatorVersion = w.version
	return cluster
}

// Usage implements remediate.Usage.
func (w watched) Usage(namespace, kind, name, container string) (remediate.Measured, bool) {
	m, ok := w.Measured(namespace, kind, name, container)
	out := remediate.Measured{Usage: guard.Usage{
		Time: m.Time, MemoryBytes: m.MemoryBytes, MemoryPeakBytes: m.MemoryPeakBytes, MemorySamples: m.MemorySamples, LastOOM: m.LastOOM,
	}}
	if !m.ThrottledTime.IsZero() {
		out.ThrottledPercent, out.ThrottledTime = new(int32(m.Throttled*100)), m.ThrottledTime
	}
	return out, ok
}

// Workload implements rpc.Source.
func (w watched) Workload(namespace, kind, name string) (*rightsizerv1.GetWorkloadResponse, bool) {
	workload, pods, problems, ok := w.Watcher.Workload(namespace, kind, name)
	if !ok {
		return nil, false
	}
	return &rightsizerv1.GetWorkloadResponse{
		Workload: workload, Pods: pods, Problems: problems, Managers: w.Managers(workload),
	}, true
}
