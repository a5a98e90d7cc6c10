package config

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// UsageConfig holds the settings about measured usage.
type UsageConfig struct {
	// Sources are names in a list with commas; see UsageSources.
	Sources        string
	Interval       time.Duration
	DetailInterval time.Duration

	KubeletCAFile      string
	KubeletInsecureTLS bool

	// PrometheusURL is asked for the time before the start; empty asks nobody.
	PrometheusURL         string
	PrometheusSelector    string
	PrometheusCAFile      string
	PrometheusTokenFile   string
	PrometheusInsecureTLS bool

	HistoryBytes int64
	SketchBytes  int64

	DaemonSetNodeLabel string
	// Checkpoints is auto, on or off.
	Checkpoints string
}

// UsageSources are the names that usage-sources takes.
var UsageSources = []string{"metrics-api", "kubelet", "kubelet-throttling", "kubelet-pressure"}

// SourceList is Sources as a list.
func (u *UsageConfig) SourceList() []string {
	if u.Sources == Off {
		return nil
	}
	return strings.Split(u.Sources, ",")
}

func usageSettings() []Setting {
	return []Setting{
		sourceList("usage-sources", "metrics-api", func(c *Config) *string { return &c.Usage.Sources },
			"Where usage is read: metrics-api is metrics.k8s.io; kubelet, kubelet-throttling and kubelet-pressure are /metrics/resource, /metrics/cadvisor and /stats/summary of the kubelets themselves. Where two tell the same, the kubelet goes first."),
		span("usage-interval", 30*time.Second, time.Second, 10*time.Minute, func(c *Config) *time.Duration { return &c.Usage.Interval },
			"How often each namespace or node is asked for CPU and memory; the requests are spread over it."),
		span("usage-detail-interval", time.Minute, time.Second, 10*time.Minute, func(c *Config) *time.Duration { return &c.Usage.DetailInterval },
			"How often kubelet-throttling and kubelet-pressure ask each node."),
		text("kubelet-ca-file", "file", 4096, func(c *Config) *string { return &c.Usage.KubeletCAFile },
			"Authority of the kubelets' certificates in PEM. Unset: that of the API server."),
		toggle("kubelet-insecure-tls", false, func(c *Config) *bool { return &c.Usage.KubeletInsecureTLS },
			"Take any certificate of a kubelet. Whoever stands between then gets the operator's token."),
		text("prometheus-url", "url", 2048, func(c *Config) *string { return &c.Usage.PrometheusURL },
			"Root of a Prometheus that scrapes the kubelets' /metrics/cadvisor: what it knows of the last 8 days is read once after the start, by namespace and day, at most two queries a second. Unset: nobody is asked."),
		text("prometheus-selector", "text", 1024, func(c *Config) *string { return &c.Usage.PrometheusSelector },
			"Matchers of labels with commas, such as cluster=\"eu-1\": what a Prometheus that has several clusters is asked about. Unset: whatever it has."),
		text("prometheus-ca-file", "file", 4096, func(c *Config) *string { return &c.Usage.PrometheusCAFile },
			"Authority of Prometheus' certificate in PEM. Unset: those of the system."),
		text("prometheus-token-file", "file", 4096, func(c *Config) *string { return &c.Usage.PrometheusTokenFile },
			"Bearer token for Prometheus, read anew for each query. Unset: none."),
		toggle("prometheus-insecure-tls", false, func(c *Config) *bool { return &c.Usage.PrometheusInsecureTLS },
			"Take any certificate of Prometheus. Whoever stands between then gets the token."),
		size("usage-history-bytes", 6<<20, 64<<10, 1<<30, func(c *Config) *int64 { return &c.Usage.HistoryBytes },
			"Memory for the history that QueryMetrics answers from; the more containers, the shorter it is."),
		size("usage-sketch-bytes", 8<<20, 64<<10, 1<<30, func(c *Config) *int64 { return &c.Usage.SketchBytes },
			"Memory for what recommendations are made from, about 1 KiB for a container of a workload; beyond it one that was not measured for an hour is forgotten, or the new one waits. At most 32Mi with usage-checkpoints, which hold no more."),
		text("daemonset-node-label", "label", 317, func(c *Config) *string { return &c.Usage.DaemonSetNodeLabel },
			"Label of nodes, such as node.kubernetes.io/instance-type, by whose values the pods of a DaemonSet are measured apart. Unset: all together."),
		choice("usage-checkpoints", "auto", []string{"auto", "on", "off"}, func(c *Config) *string { return &c.Usage.Checkpoints },
			"Whether what is measured is kept over a restart, in ConfigMaps of operator-namespace, written every 15 minutes and at the end; auto is on in a pod and off where kubeconfig is set, so that a look at a cluster changes nothing in it."),
	}
}

func exhaustionSettings() []Setting {
	return []Setting{
		number[int32]("exhaustion-percent", 90, 50, 100, func(c *Config) *int32 { return &c.ExhaustionPercent },
			"Share of its limit, or of what a node has, from which on what is used is exhaustion."),
		number[int32]("exhaustion-critical-percent", 97, 50, 100, func(c *Config) *int32 { return &c.ExhaustionCriticalPercent },
			"Share from which on memory is told at once and as an error; at least exhaustion-percent."),
		span("exhaustion-after", 30*time.Second, 0, time.Hour, func(c *Config) *time.Duration { return &c.ExhaustionAfter },
			"How long exhaustion must last before it is told."),
		number[int32]("throttled-percent", 25, 1, 100, func(c *Config) *int32 { return &c.ThrottledPercent },
			"Share of the CPU quota's periods in which a container is held back that is a problem."),
		number[int32]("pressure-percent", 20, 1, 100, func(c *Config) *int32 { return &c.PressurePercent },
			"Share of time in which a task waits for CPU, memory or disk that is a problem."),
		span("pressure-after", time.Minute, 0, time.Hour, func(c *Config) *time.Duration { return &c.PressureAfter },
			"How long throttling or pressure must last before it is told."),
		number[int32]("underutilized-percent", 50, 10, 99, func(c *Config) *int32 { return &c.UnderutilizedPercent },
			"Share of a request that is not needed from which on that is told."),
		span("opportunity-after", time.Hour, 0, 7*24*time.Hour, func(c *Config) *time.Duration { return &c.OpportunityAfter },
			"How long a request must not fit what is used before that is told."),
	}
}

// sourceList is a list of names with commas, or off.
func sourceList(key, value string, field func(*Config) *string, help string) Setting {
	bounds := "off, or some of " + strings.Join(UsageSources, ", ") + " with commas"
	return Setting{
		Key: key, Kind: "list", Default: value, Bounds: bounds, Help: help,
		set: func(c *Config, v string) error {
			var names []string
			for name := range strings.SplitSeq(v, ",") {
				name = strings.TrimSpace(name)
				if name == Off && v == Off {
					continue
				}
				if !slices.Contains(UsageSources, name) || slices.Contains(names, name) {
					return errors.New("wants " + bounds)
				}
				names = append(names, name)
			}
			*field(c) = strings.Join(names, ",")
			if v == Off {
				*field(c) = Off
			}
			return nil
		},
		get: func(c *Config) string { return *field(c) },
	}
}
