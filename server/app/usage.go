package app

import (
	"github.com/rightsizer/rightsizer/server/config"
	"github.com/rightsizer/rightsizer/server/rpc"
	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/recommend"
	"github.com/rightsizer/rightsizer/watcher/source"
)

// usageOptions are what is measured, as it is configured, by the replica that leads.
func usageOptions(cfg *config.Config, leading func() bool) watcher.UsageOptions {
	c := &cfg.Usage
	o := watcher.UsageOptions{
		Leading: leading, Sources: c.SourceList(), Interval: c.Interval, DetailInterval: c.DetailInterval,
		KubeletCAFile: c.KubeletCAFile, KubeletInsecure: c.KubeletInsecureTLS,
		SketchBytes: c.SketchBytes, HistoryBytes: c.HistoryBytes, DaemonSetNodeLabel: c.DaemonSetNodeLabel, Price: price(cfg),
	}
	if c.PrometheusURL != "" {
		o.Prometheus = &source.PrometheusOptions{
			URL: c.PrometheusURL, Selector: c.PrometheusSelector, CAFile: c.PrometheusCAFile, TokenFile: c.PrometheusTokenFile, Insecure: c.PrometheusInsecureTLS,
		}
	}
	if c.Checkpoints == "on" || c.Checkpoints == "auto" && cfg.Kubeconfig == "" {
		o.CheckpointNamespace = operatorNamespace(cfg.OperatorNamespace)
	}
	return o
}

// price is what a core and a GiB cost; nil where nobody said.
func price(cfg *config.Config) *recommend.Price {
	if p := cfg.Price; p.CoreHour > 0 || p.GiBHour > 0 {
		return &recommend.Price{CoreHour: p.CoreHour, GiBHour: p.GiBHour}
	}
	return nil
}

// metrics is what a Cluster measured, nil where it measures nothing.
func metrics(c Cluster) rpc.Measured {
	m, _ := c.(rpc.Measured)
	return m
}
