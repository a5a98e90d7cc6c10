package config

import (
	"errors"
	"net"
	"net/url"
)

// TracingConfig says where traces are sent.
type TracingConfig struct {
	// Endpoint is the URL of a collector; empty makes no traces.
	Endpoint          string
	CAFile, TokenFile string
	// Ratio is the share of traces that are sent.
	Ratio float64
}

func tracingSettings() []Setting {
	return []Setting{
		endpoint("otlp-endpoint", func(c *Config) *string { return &c.Tracing.Endpoint },
			"Collector that traces are sent to as OpenTelemetry's OTLP over HTTP, such as http://collector:4318; without a path it is /v1/traces. What is in them: the server's README. Unset: none are made."),
		text("otlp-ca-file", "file", 4096, func(c *Config) *string { return &c.Tracing.CAFile },
			"Certificates in PEM that vouch for the collector; unset are the system's. Read at start."),
		text("otlp-token-file", "file", 4096, func(c *Config) *string { return &c.Tracing.TokenFile },
			"Bearer token for the collector, read anew for each request. Unset: none."),
		decimal("otlp-sampling-ratio", 1, 1, func(c *Config) *float64 { return &c.Tracing.Ratio },
			"Share of traces that are sent. It goes by the trace's id, so that of one cause everything is sent or nothing."),
	}
}

func (t *TracingConfig) check(add func(key, want string, with ...string)) {
	if t.Endpoint == "" {
		for key, file := range map[string]string{"otlp-ca-file": t.CAFile, "otlp-token-file": t.TokenFile} {
			if file != "" {
				add(key, "wants otlp-endpoint beside it: without one nothing is sent")
			}
		}
		return
	}
	u, err := url.Parse(t.Endpoint)
	if err == nil && t.TokenFile != "" && u.Scheme == "http" && !IsLoopback(net.JoinHostPort(u.Hostname(), "0")) {
		add("otlp-token-file", "wants an otlp-endpoint of https://, or on loopback: the token would be sent in clear text", "otlp-endpoint")
	}
}

// endpoint is the URL of a service over HTTP.
func endpoint(key string, field func(*Config) *string, help string) Setting {
	bounds := "URL http:// or https:// without user, query and fragment"
	return Setting{
		Key: key, Kind: "url", Bounds: bounds, Help: help,
		set: func(c *Config, v string) error {
			u, err := url.Parse(v)
			good := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
			if v != "" && (!good || len(v) > 2048) {
				return errors.New("wants a " + bounds + ", such as http://127.0.0.1:4318")
			}
			*field(c) = v
			return nil
		},
		get: func(c *Config) string { return *field(c) },
	}
}
