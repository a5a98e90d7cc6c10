package config

import (
	"slices"
	"strconv"
	"time"
)

// ConfigKey is the setting that names the file. It has no key in the file.
const ConfigKey = "config"

// maxStreamsKey is the setting whose default derives from the memory limit.
const maxStreamsKey = "max-streams"

// Settings is the table of all settings, in the order of the reference.
func Settings() []Setting {
	return slices.Concat([]Setting{
		{
			Key: ConfigKey, Kind: "file", Bounds: "YAML, at most 1 MiB",
			Help: "File of settings: one key a line, named like the flags without their dashes. No file is read unless named.",
		},
	}, clusterSettings(), serverSettings(), accessSettings(), live(paceSettings()), auditSettings(), ringSettings(), live(behaviourSettings()), live(exhaustionSettings()), usageSettings(),
		live(priceSettings()), incidentSettings(), tracingSettings(), logSettings())
}

// live marks settings whose change in the file holds without a restart.
func live(settings []Setting) []Setting {
	for i := range settings {
		settings[i].Live = true
	}
	return settings
}

func clusterSettings() []Setting {
	kubeconfig := text("kubeconfig", "file", 4096, func(c *Config) *string { return &c.Kubeconfig },
		"How to reach the cluster. Unset inside a pod: the pod's own service account. The file in the home folder is never read.")
	kubeconfig.AlsoEnv = "KUBECONFIG"
	return []Setting{
		kubeconfig,
		text("cluster-id", "text", 128, func(c *Config) *string { return &c.ClusterID },
			"Identity of the cluster in events and requests. Unset: the UID of namespace kube-system."),
		text("cluster-name", "text", 128, func(c *Config) *string { return &c.ClusterName },
			"Name of the cluster for people."),
		text("environment", "text", 64, func(c *Config) *string { return &c.Environment },
			"Environment of the cluster for people, such as production."),
		toggle("disable-watch-list", false, func(c *Config) *bool { return &c.DisableWatchList },
			"Read the first state by pages instead of a stream, for API servers whose streaming lists misbehave. Takes more memory at start; servers without them are noticed by themselves."),
	}
}

func auditSettings() []Setting {
	return []Setting{
		text("operator-namespace", "name", 63, func(c *Config) *string { return &c.OperatorNamespace },
			"Namespace of what the operator keeps for itself, such as the audit segments. Unset: that of its own pod, else rightsizer."),
		text("audit-dir", "folder", 4096, func(c *Config) *string { return &c.AuditDir },
			"Folder of a second copy of the audit chain, which must be written before anything is done; at most 64 files of 16 MiB. Unset: none."),
		choice("leader-elect", "auto", []string{"auto", "on", "off", "never"}, func(c *Config) *string { return &c.LeaderElect },
			"Whether only the holder of the Lease rightsizer, in operator-namespace, changes workloads; auto: inside a cluster. With more than one replica it must be on. With never this one changes nothing by itself, whatever policies say: it looks on from outside."),
		networks("outbound-networks", func(c *Config) *[]string { return &c.OutboundNetworks },
			"Networks that sinks and webhooks may call beside public addresses. Loopback wants a network of its own; link-local and metadata addresses are never called."),
		text("webhook-secrets", "folder", 4096, func(c *Config) *string { return &c.WebhookSecrets },
			"Folder of the secrets that policies name for their webhooks, as NAMESPACE/NAME/KEY, such as mounted Secrets; read at each call. Secrets of the cluster are never read. Unset: none."),
		text("webhook-ca-file", "file", 4096, func(c *Config) *string { return &c.WebhookCAFile },
			"Certificates in PEM that vouch for webhooks of policies; unset are the system's. Read at start."),
		sinksSetting(),
	}
}

func serverSettings() []Setting {
	return []Setting{
		toggle("enable-grpc", true, func(c *Config) *bool { return &c.EnableGRPC },
			"Serve the API (Connect, gRPC, gRPC-Web), the WebSocket and the dashboard on grpc-bind-address."),
		address("grpc-bind-address", ":9090", false, func(c *Config) *string { return &c.GRPCAddress },
			"Where the API, the WebSocket /events and the dashboard listen."),
		address("events-bind-address", ":8082", true, func(c *Config) *string { return &c.EventsAddress },
			"Where the WebSocket /events listens alone."),
		address("metrics-bind-address", ":8080", true, func(c *Config) *string { return &c.MetricsAddress },
			"Where /metrics, /healthz and /readyz listen, always in clear text."),
		address("pprof-bind-address", Off, true, func(c *Config) *string { return &c.PprofAddress },
			"Where Go's profiler listens, in clear text; a loopback address alone, reached by kubectl port-forward."),
		text("tls-cert-file", "file", 4096, func(c *Config) *string { return &c.TLSCertFile },
			"Certificate chain in PEM for the API and /events; read again when it changes."),
		text("tls-key-file", "file", 4096, func(c *Config) *string { return &c.TLSKeyFile },
			"Key of the certificate in PEM."),
		toggle("insecure-plaintext", false, func(c *Config) *bool { return &c.InsecurePlaintext },
			"Serve clear text on addresses that are not loopback instead of making a self-signed certificate; for a mesh or an ingress that ends TLS."),
		toggle("insecure-no-auth", false, func(c *Config) *bool { return &c.InsecureNoAuth },
			"Let everybody in on addresses that are not loopback. Whoever reaches the port reads everything."),
		number("max-connections", 1024, 1, 1_000_000, func(c *Config) *int { return &c.MaxConnections },
			"TCP connections open at a time on the API's addresses together, half of them of one address, a quarter of one identity; one more is closed at once, an identity's with resource_exhausted. What one takes with its stream: see max-streams."),
		number(maxStreamsKey, 1000, 1, 1_000_000, func(c *Config) *int { return &c.MaxStreams },
			"Event streams open at a time, WebSockets included; one more is refused with resource_exhausted. "+
				"Unset where a memory limit is known (GOMEMLIMIT as it is given or the cgroup's, the smaller; not what the operator sets for itself): (limit - "+formatSize(besideStreams)+") / "+
				formatSize(perStream)+", "+strconv.Itoa(leastStreams)+" to "+strconv.Itoa(mostStreams)+"; the rest is for the watcher."),
		span("stream-heartbeat", 15*time.Second, 100*time.Millisecond, 5*time.Minute, func(c *Config) *time.Duration { return &c.StreamHeartbeat },
			"Silence on a stream after which a heartbeat is sent. Proxies cut streams that are silent for 60 s."),
		span("stream-write-timeout", 10*time.Second, 100*time.Millisecond, 5*time.Minute, func(c *Config) *time.Duration { return &c.StreamWriteTimeout },
			"How long a client may take to accept what is sent before its stream is cut; it goes on from its last position."),
	}
}

func ringSettings() []Setting {
	return []Setting{
		number("ring-entries", 4096, 16, 1<<20, func(c *Config) *int { return &c.RingEntries },
			"Events held for streams that resume and for ListEvents; a power of two."),
		size("ring-bytes", 8<<20, 64<<10, 1<<30, func(c *Config) *int64 { return &c.RingBytes },
			"Memory that held events may take, with their cached encodings; the oldest go first."),
	}
}

func behaviourSettings() []Setting {
	return []Setting{
		number[int32]("crash-loop-restarts", 2, 1, 1000, func(c *Config) *int32 { return &c.CrashLoopRestarts },
			"Restarts in a row that make a crash loop."),
		span("crash-loop-reset", 10*time.Minute, time.Second, 24*time.Hour, func(c *Config) *time.Duration { return &c.CrashLoopReset },
			"How long a container must run for its crash loop to be over."),
		number[int32]("crash-loop-critical-restarts", 5, 1, 1000, func(c *Config) *int32 { return &c.CrashLoopCriticalRestarts },
			"Restarts in a row that make a crash loop critical; at least crash-loop-restarts."),
		number[int32]("oom-critical-kills", 3, 1, 1000, func(c *Config) *int32 { return &c.OOMCriticalKills },
			"Ends in a row, the last by the OOM killer, that make the kill critical."),
		span("node-start-grace", 2*time.Minute, 0, time.Hour, func(c *Config) *time.Duration { return &c.NodeStartGrace },
			"How long after its creation a node that was never ready counts as starting."),
		number[int32]("node-full-percent", 95, 50, 100, func(c *Config) *int32 { return &c.NodeFullPercent },
			"Share of a node's CPU or memory from which on its pods' requests make it full."),
		span("unavailable-after", 2*time.Minute, time.Second, 24*time.Hour, func(c *Config) *time.Duration { return &c.UnavailableAfter },
			"How long a workload must have fewer available pods than it asks for."),
		span("hpa-failing-after", time.Minute, time.Second, 24*time.Hour, func(c *Config) *time.Duration { return &c.HPAFailingAfter },
			"How long an autoscaler must be unable to work."),
		span("pdb-blocking-after", 10*time.Minute, time.Second, 24*time.Hour, func(c *Config) *time.Duration { return &c.PDBBlockingAfter },
			"How long a disruption budget must allow no eviction."),
		span("unschedulable-after", 10*time.Second, 0, time.Hour, func(c *Config) *time.Duration { return &c.UnschedulableAfter },
			"How long the scheduler must find no node for a pod before that is told."),
		span("pending-after", 5*time.Minute, time.Second, 24*time.Hour, func(c *Config) *time.Duration { return &c.PendingAfter },
			"How long a pod may wait to start for no more particular reason."),
		number[int32]("probe-failures", 3, 1, 1000, func(c *Config) *int32 { return &c.ProbeFailures },
			"Failures of a probe in a row that are a problem."),
		span("probe-quiet", 6*time.Minute, 10*time.Second, time.Hour, func(c *Config) *time.Duration { return &c.ProbeQuiet },
			"How long a ready container's probe must not be told as failed for the problem to be over."),
		span("evidence-quiet", 10*time.Minute, time.Minute, time.Hour, func(c *Config) *time.Duration { return &c.EvidenceQuiet },
			"How long Kubernetes Events must not repeat a failure of a volume or a sandbox for it to be over."),
	}
}

func incidentSettings() []Setting {
	return []Setting{
		span("incident-linger", 10*time.Minute, time.Second, 24*time.Hour, func(c *Config) *time.Duration { return &c.IncidentLinger },
			"How long something that happened at one moment keeps its incident open."),
		span("incident-keep", time.Hour, 10*time.Minute, 7*24*time.Hour, func(c *Config) *time.Duration { return &c.IncidentKeep },
			"How long a resolved incident stays listed."),
		span("incident-settle", time.Second, 0, time.Minute, func(c *Config) *time.Duration { return &c.IncidentSettle },
			"Least time between two messages of an incident that changed only in detail; a large one waits up to 5 times as long. What opens, ends or worsens one is told at once."),
		number("max-incidents", 1024, 1, 100_000, func(c *Config) *int { return &c.MaxIncidents },
			"Incidents listed at a time; the longest resolved go first, and if all are open, further ones wait."),
		number("max-incident-problems", 8192, 16, 1_000_000, func(c *Config) *int { return &c.MaxIncidentProblems },
			"Problems remembered to join others with, about 1.1 KiB each; what is over goes first."),
		number("max-problems", 4096, 1, 100_000, func(c *Config) *int { return &c.MaxProblems },
			"Problems listed at a time, for lists and snapshots, about 1.3 KiB each; further ones are published all the same."),
	}
}

func logSettings() []Setting {
	return append(live([]Setting{
		choice("log-level", "info", []string{"debug", "info", "warn", "error"}, func(c *Config) *string { return &c.LogLevel },
			"The least level to log."),
	}),
		choice("log-format", "auto", []string{"auto", "text", "json"}, func(c *Config) *string { return &c.LogFormat },
			"Form of the log: text is for people, json one object a line; auto is text on a terminal and json elsewhere."),
	)
}
