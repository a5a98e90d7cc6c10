package app

import (
	"github.com/rightsizer/rightsizer/server/config"
	"github.com/rightsizer/rightsizer/server/rpc"
	"github.com/rightsizer/rightsizer/watcher"
)

// usageOptions are what is measured, as it is configured.
func usageOptions(c *config.UsageConfig) watcher.UsageOptions {
	return watcher.UsageOptions{
		Sources: c.SourceList(), Interval: c.Interval, DetailInterval: c.DetailInterval,
		KubeletCAFile: c.KubeletCAFile, KubeletInsecure: c.KubeletInsecureTLS,
		SketchBytes: c.SketchBytes, HistoryBytes: c.HistoryBytes, DaemonSetNodeLabel: c.DaemonSetNodeLabel,
	}
}

// metrics is what a Cluster measured, nil where it measures nothing.
func metrics(c Cluster) rpc.Measured {
	m, _ := c.(rpc.Measured)
	return m
}
