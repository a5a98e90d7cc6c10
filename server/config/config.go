package config

import (
	"log/slog"
	"net"
	"time"
)

// Config holds the value of each setting; see [Settings] for what they mean.
type Config struct {
	Kubeconfig  string
	ClusterID   string
	ClusterName string
	Environment string
	// DisableWatchList: see watcher.Options.
	DisableWatchList bool

	OperatorNamespace string
	AuditDir          string
	LeaderElect       string
	// OutboundNetworks are what sinks and webhooks may call beside public addresses.
	OutboundNetworks []string
	// WebhookSecrets is the folder of the secrets of policies' webhooks,
	// WebhookCAFile what vouches for these.
	WebhookSecrets, WebhookCAFile string
	Sinks                         []Sink

	EnableGRPC     bool
	GRPCAddress    string
	EventsAddress  string
	MetricsAddress string
	PprofAddress   string

	TLSCertFile       string
	TLSKeyFile        string
	InsecureNoAuth    bool
	InsecurePlaintext bool
	Access

	MaxConnections     int
	MaxStreams         int
	StreamHeartbeat    time.Duration
	StreamWriteTimeout time.Duration

	RingEntries int
	RingBytes   int64

	CrashLoopRestarts         int32
	CrashLoopReset            time.Duration
	CrashLoopCriticalRestarts int32
	OOMCriticalKills          int32
	NodeStartGrace            time.Duration
	NodeFullPercent           int32
	UnavailableAfter          time.Duration
	HPAFailingAfter           time.Duration
	PDBBlockingAfter          time.Duration
	UnschedulableAfter        time.Duration
	PendingAfter              time.Duration
	ProbeFailures             int32
	ProbeQuiet                time.Duration
	EvidenceQuiet             time.Duration
	ExhaustionPercent         int32
	ExhaustionCriticalPercent int32
	ExhaustionAfter           time.Duration
	ThrottledPercent          int32
	PressurePercent           int32
	PressureAfter             time.Duration
	UnderutilizedPercent      int32
	OpportunityAfter          time.Duration

	Usage UsageConfig
	Price PriceConfig

	Tracing TracingConfig

	IncidentLinger      time.Duration
	IncidentKeep        time.Duration
	IncidentSettle      time.Duration
	MaxIncidents        int
	MaxIncidentProblems int
	MaxProblems         int

	LogLevel  string
	LogFormat string
}

// Off is the address of a listener that is not to be.
const Off = "off"

// Default returns the configuration in which nothing is set.
func Default() Config {
	var c Config
	for _, s := range Settings() {
		if s.set != nil {
			// A test holds that every default is a good value.
			_ = s.set(&c, s.Default)
		}
	}
	return c
}

// Level is the log level as slog has it.
func (c *Config) Level() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return slog.LevelInfo // Load has refused any other name
	}
	return level
}

// IsLoopback tells whether only programs of the same machine reach a listener at
// this address. A host name other than localhost may point anywhere.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// conflict is one setting that does not go with others.
type conflict struct {
	key string
	// want is what would be right.
	want string
	// with are the other settings that it is about.
	with []string
}

// check judges what no single setting can: how they go together.
func (c *Config) check() []conflict {
	var found []conflict
	add := func(key, want string, with ...string) { found = append(found, conflict{key, want, with}) }
	switch {
	case c.TLSCertFile != "" && c.TLSKeyFile == "":
		add("tls-cert-file", "wants tls-key-file beside it: set both or neither")
	case c.TLSCertFile == "" && c.TLSKeyFile != "":
		add("tls-key-file", "wants tls-cert-file beside it: set both or neither")
	}
	c.Access.check(c, add)
	c.Tracing.check(add)
	if c.InsecurePlaintext && c.TLSCertFile != "" {
		add("insecure-plaintext", "contradicts tls-cert-file: unset one of them", "tls-cert-file")
	}
	if c.RingEntries > 0 && c.RingEntries&(c.RingEntries-1) != 0 {
		add("ring-entries", "wants a power of two, such as 4096")
	}
	if c.CrashLoopCriticalRestarts < c.CrashLoopRestarts {
		add("crash-loop-critical-restarts", "wants at least the value of crash-loop-restarts", "crash-loop-restarts")
	}
	if c.ExhaustionCriticalPercent < c.ExhaustionPercent {
		add("exhaustion-critical-percent", "wants at least the value of exhaustion-percent", "exhaustion-percent")
	}
	if c.PprofAddress != Off && !IsLoopback(c.PprofAddress) {
		add("pprof-bind-address", "wants a loopback address, such as 127.0.0.1:6060: profiles show what is in memory")
	}
	addresses := []struct{ key, address string }{
		{"grpc-bind-address", c.GRPCAddress},
		{"events-bind-address", c.EventsAddress},
		{"metrics-bind-address", c.MetricsAddress},
		{"pprof-bind-address", c.PprofAddress},
	}
	for i, a := range addresses {
		for _, b := range addresses[:i] {
			if a.address == b.address && a.address != Off && !hasPortZero(a.address) {
				add(a.key, "wants another address than "+b.key, b.key)
			}
		}
	}
	return found
}

func hasPortZero(address string) bool {
	_, port, err := net.SplitHostPort(address)
	return err == nil && port == "0"
}
