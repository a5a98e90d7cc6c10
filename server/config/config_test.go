package config_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/server/config"
)

var update = flag.Bool("update", false, "write the reference into README.md")

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestDefaultsAreGood(t *testing.T) {
	r, err := config.Load(config.Input{})
	require.NoError(t, err)
	assert.Equal(t, config.Default(), r.Config)
	assert.Empty(t, r.Source)
	assert.Equal(t, ":9090", r.Config.GRPCAddress)
	assert.Equal(t, ":8082", r.Config.EventsAddress)
	assert.Equal(t, ":8080", r.Config.MetricsAddress)
	assert.True(t, r.Config.EnableGRPC)
	assert.Equal(t, 10*time.Minute, r.Config.CrashLoopReset)
	assert.Equal(t, int64(8<<20), r.Config.RingBytes)
}

func TestPrecedence(t *testing.T) {
	path := file(t, "log-level: warn\n")
	for name, c := range map[string]struct {
		flag, env, file bool
		want, place     string
	}{
		"flag over all":         {true, true, true, "debug", "flag --log-level"},
		"flag over environment": {true, true, false, "debug", "flag --log-level"},
		"flag over file":        {true, false, true, "debug", "flag --log-level"},
		"flag":                  {true, false, false, "debug", "flag --log-level"},
		"environment over file": {false, true, true, "error", "environment RIGHTSIZER_LOG_LEVEL"},
		"environment":           {false, true, false, "error", "environment RIGHTSIZER_LOG_LEVEL"},
		"file":                  {false, false, true, "warn", path + ":1"},
		"default":               {false, false, false, "info", ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := config.Input{Flags: map[string]string{}}
			if c.flag {
				in.Flags["log-level"] = "debug"
			}
			if c.env {
				in.Environ = append(in.Environ, "RIGHTSIZER_LOG_LEVEL=error")
			}
			if c.file {
				in.Flags["config"] = path
			}
			r, err := config.Load(in)
			require.NoError(t, err)
			assert.Equal(t, c.want, r.Config.LogLevel)
			assert.Equal(t, c.place, r.Source["log-level"])
		})
	}
}

func TestFileByEnvironmentAndEmptyVariables(t *testing.T) {
	r, err := config.Load(config.Input{Environ: []string{
		"RIGHTSIZER_CONFIG=" + file(t, "# nothing but a name\ncluster-name: one\n"), "RIGHTSIZER_CLUSTER_NAME=", "KUBECONFIG=/from/kubeconfig",
	}})
	require.NoError(t, err)
	assert.Equal(t, "one", r.Config.ClusterName)
	assert.Equal(t, "/from/kubeconfig", r.Config.Kubeconfig)
	r, err = config.Load(config.Input{Environ: []string{"KUBECONFIG=/a", "RIGHTSIZER_KUBECONFIG=/b"}})
	require.NoError(t, err)
	assert.Equal(t, "/b", r.Config.Kubeconfig, "our own variable first")
	for _, text := range []string{"", "# only a comment\n", "---\n"} {
		_, err = config.Load(config.Input{Flags: map[string]string{"config": file(t, text)}})
		require.NoError(t, err)
	}
}

func TestEveryMistakeIsNamedAtOnce(t *testing.T) {
	path := file(t, strings.Join([]string{
		"log-leve: debug", "ring-bytes: 8 MB", "enable-grpc: yes", "cluster-name: [a]", "config: x", "log-format: text", "log-format: json", "environment:",
	}, "\n"))
	_, err := config.Load(config.Input{
		Flags:   map[string]string{"config": path, "grpc-bind-address": "9090", "max-streams": "0", "kubeconfig": "a\x1b[31mb"},
		Environ: []string{"RIGHTSIZER_CRASH_LOOP_RESET=10", "RIGHTSIZER_METRICS_BIND_ADDRESS=:99999"},
	})
	require.Error(t, err)
	for _, want := range []string{
		"log-leve (" + path + ":1) is not a setting; did you mean log-level?",
		`ring-bytes (` + path + `:2) is "8 MB"; wants bytes such as 8Mi or 512Ki, 64Ki to 1Gi`,
		`enable-grpc (` + path + `:3) is "yes"; wants true or false`,
		`cluster-name (` + path + `:4) wants a single value`,
		`config (` + path + `:5) is not a setting`,
		`log-format (` + path + `:7) is set twice, first in line 6`,
		`environment (` + path + `:8) has no value`,
		`grpc-bind-address (flag --grpc-bind-address) is "9090"; wants host:port`,
		`max-streams (flag --max-streams) is "0"; wants a whole number, 1 to 1000000`,
		`crash-loop-reset (environment RIGHTSIZER_CRASH_LOOP_RESET) is "10"; wants a duration such as 90s or 5m, 1s to 24h`,
		`metrics-bind-address (environment RIGHTSIZER_METRICS_BIND_ADDRESS) is ":99999"`,
	} {
		require.ErrorContains(t, err, want)
	}
	assert.NotContains(t, err.Error(), "\x1b")
	assert.Equal(t, 12, strings.Count(err.Error(), "\n")+1)
}

const goodSinks = `outbound-networks: 10.0.0.0/8, 127.0.0.1/32
sinks:
- name: pager
  url: https://events.example.com/in
  secret-file: /etc/secret
  timeout: 5s
  filter:
    eventTypes: [pod.oom_killed, "node.*"]
    minSeverity: error
- {name: local, url: "http://127.0.0.1:8080/", insecure-plaintext: true, mode: binary, queue: 16, give-up-after: 1h}
`

func TestSinks(t *testing.T) {
	path := file(t, goodSinks)
	r, err := config.Load(config.Input{Flags: map[string]string{"config": path}})
	require.NoError(t, err)
	assert.Equal(t, []string{"10.0.0.0/8", "127.0.0.1/32"}, r.Config.OutboundNetworks)
	require.Len(t, r.Config.Sinks, 2)
	pager, local := r.Config.Sinks[0], r.Config.Sinks[1]
	assert.JSONEq(t, `{"eventTypes":["pod.oom_killed","node.*"],"minSeverity":"error"}`, string(pager.Filter))
	pager.Filter = nil
	assert.Equal(t, config.Sink{
		Name: "pager", URL: "https://events.example.com/in", Mode: "structured", SecretFile: "/etc/secret",
		Timeout: 5 * time.Second, GiveUpAfter: 15 * time.Minute, Queue: 1024,
	}, pager)
	assert.Equal(t, config.Sink{
		Name: "local", URL: "http://127.0.0.1:8080/", Mode: "binary", InsecurePlaintext: true,
		Timeout: 10 * time.Second, GiveUpAfter: time.Hour, Queue: 16,
	}, local)
	assert.Equal(t, path+":7", r.Source["sinks[0].filter"])

	var out bytes.Buffer
	require.NoError(t, config.Print(&out, r))
	again, err := config.Load(config.Input{Flags: map[string]string{"config": file(t, out.String())}})
	require.NoError(t, err)
	assert.Equal(t, r.Config, again.Config)
}

func TestSinksThatAreWrong(t *testing.T) {
	path := file(t, strings.Join([]string{
		"sinks:",
		"- name: Pager", // 2
		"  url: ftp://example.com",
		"  ulr: x",
		"  timeout: 1h",
		"  queue: [1]",
		"  filter: [pod]",
		"- nothing", // 8
		"- name: a", // 9
		"- {name: b, url: \"http://example.com\"}",       // 10
		"- {name: c, url: https://example.com, name: d}", // 11
		"- {name: e, url: https://example.com}",
		"- {name: e, url: https://example.com}", // 13
	}, "\n"))
	_, err := config.Load(config.Input{Flags: map[string]string{"config": path}, Environ: []string{"RIGHTSIZER_SINKS=x"}})
	for _, want := range []string{
		`sinks[0].name (` + path + `:2) is "Pager"; wants lower-case letters`,
		`sinks[0].url (` + path + `:3) is "ftp://example.com"; wants a URL`,
		`sinks[0].ulr (` + path + `:4) is not a field of a sink; did you mean url?`,
		`sinks[0].timeout (` + path + `:5) is "1h"; wants a duration, 100ms to 1m`,
		`sinks[0].queue (` + path + `:6) wants a whole number, 16 to 65536`,
		`sinks[0].filter (` + path + `:7) wants the fields of a filter`,
		`sinks[1] (` + path + `:8) wants`,
		`sinks[2].url (` + path + `:9) is missing`,
		`sinks[3].url (` + path + `:10) is "http://example.com"; wants https, or insecure-plaintext: true`,
		`sinks[4].name (` + path + `:11) is set twice`,
		`sinks[6].name (` + path + `:13) is "e"; wants a name of its own; sinks[5] has it, too`,
		`sinks (environment RIGHTSIZER_SINKS) is a list, which goes into the file`,
	} {
		require.ErrorContains(t, err, want)
	}
	for text, want := range map[string]string{
		"sinks: x": "wants a list",
		"sinks:\n" + strings.Repeat("- {name: a, url: https://example.com}\n", 17): "at most 16",
		"outbound-networks: 10.0.0.1": "wants networks such as",
	} {
		_, err := config.Load(config.Input{Flags: map[string]string{"config": file(t, text)}})
		require.ErrorContains(t, err, want)
	}
}

func TestFilesThatAreNone(t *testing.T) {
	for text, want := range map[string]string{
		"- a\n- b\n":                 "wants `key: value` lines",
		"a: b\n---\nc: d\n":          "wants one YAML document",
		"a: [":                       "is not YAML",
		strings.Repeat("#", 1<<20+1): "larger than",
	} {
		_, err := config.Load(config.Input{Flags: map[string]string{"config": file(t, text)}})
		require.ErrorContains(t, err, want)
	}
	_, err := config.Load(config.Input{Flags: map[string]string{"config": "/nowhere/at/all"}})
	require.ErrorContains(t, err, "config (flag --config)")
	require.ErrorContains(t, err, "no such file")
}

func TestSettingsThatDoNotGoTogether(t *testing.T) {
	path := file(t, "# two lines\nring-entries: 1000\n")
	for want, in := range map[string]config.Input{
		`pprof-bind-address (flag --pprof-bind-address) is ":6060"; wants a loopback address`: {
			Flags: map[string]string{"pprof-bind-address": ":6060"},
		},
		`tls-cert-file (flag --tls-cert-file) is "a"; wants tls-key-file beside it: set both or neither`: {
			Flags: map[string]string{"tls-cert-file": "a"},
		},
		`tls-key-file (environment RIGHTSIZER_TLS_KEY_FILE) is "b"; wants tls-cert-file beside it: set both or neither`: {
			Environ: []string{"RIGHTSIZER_TLS_KEY_FILE=b"},
		},
		`insecure-plaintext (flag --insecure-plaintext) is "true"; contradicts tls-cert-file: unset one of them; tls-cert-file (flag --tls-cert-file) is "a"`: {
			Flags: map[string]string{"tls-cert-file": "a", "tls-key-file": "b", "insecure-plaintext": "true"},
		},
		`otlp-token-file (flag --otlp-token-file) is "t"; wants an otlp-endpoint of https://, or on loopback: the token would be sent in clear text; otlp-endpoint (flag --otlp-endpoint) is "http://collector:4318"`: {
			Flags: map[string]string{"otlp-endpoint": "http://collector:4318", "otlp-token-file": "t"},
		},
		`otlp-ca-file (flag --otlp-ca-file) is "c"; wants otlp-endpoint beside it`: {Flags: map[string]string{"otlp-ca-file": "c"}},
		`otlp-endpoint (flag --otlp-endpoint) is "collector:4318"; wants a URL http:// or https:// without user, query and fragment, such as http://127.0.0.1:4318`: {
			Flags: map[string]string{"otlp-endpoint": "collector:4318"},
		},
		`otlp-sampling-ratio (flag --otlp-sampling-ratio) is "1.5"; wants a number such as 0.03, 0 to 1`: {Flags: map[string]string{"otlp-sampling-ratio": "1.5"}},
		`ring-entries (flag --ring-entries) is "5000"; wants a power of two`:                             {Flags: map[string]string{"ring-entries": "5000"}},
		`ring-entries (environment RIGHTSIZER_RING_ENTRIES) is "1000"; wants a power of two`:             {Environ: []string{"RIGHTSIZER_RING_ENTRIES=1000"}},
		`ring-entries (` + path + `:2) is "1000"; wants a power of two`:                                  {Flags: map[string]string{"config": path}},
		`crash-loop-critical-restarts (default) is "5"; wants at least the value of crash-loop-re`:       {Flags: map[string]string{"crash-loop-restarts": "9"}},
		`crash-loop-restarts (flag --crash-loop-restarts) is "9"`:                                        {Flags: map[string]string{"crash-loop-restarts": "9"}},
		`events-bind-address (flag --events-bind-address) is ":9090"; wants another address than grpc-bind-address; grpc-bind-address (default) is ":9090"`: {
			Flags: map[string]string{"events-bind-address": ":9090"},
		},
	} {
		_, err := config.Load(in)
		require.ErrorContains(t, err, want)
	}
	for _, flags := range []map[string]string{
		{"events-bind-address": "off", "metrics-bind-address": "off"},
		{"otlp-endpoint": "http://127.0.0.1:4318", "otlp-token-file": "t", "otlp-sampling-ratio": "0.25"},
		{"otlp-endpoint": "https://collector/otlp/v1/traces", "otlp-token-file": "t"},
		{"events-bind-address": "127.0.0.1:0", "metrics-bind-address": "127.0.0.1:0", "grpc-bind-address": "127.0.0.1:0"},
	} {
		_, err := config.Load(config.Input{Flags: flags})
		require.NoError(t, err)
	}
}

func TestVariablesThatLookMistyped(t *testing.T) {
	r, err := config.Load(config.Input{Environ: []string{
		"RIGHTSIZER_LOG_LEVL=debug",
		"RIGHTSIZER_SERVICE_HOST=10.0.0.1", "RIGHTSIZER_PORT_9090_TCP=x", "RIGHTSIZER_PORT=tcp://10.0.0.1:9090", // set by Kubernetes
		"RIGHTSIZER_SINK=x", // near a list, which no variable sets
	}})
	require.NoError(t, err)
	assert.Equal(t, []string{"environment RIGHTSIZER_LOG_LEVL is not a setting; did you mean RIGHTSIZER_LOG_LEVEL?"}, r.Warnings)
}

func TestPrintIsReadBack(t *testing.T) {
	r, err := config.Load(config.Input{Flags: map[string]string{
		"cluster-name": `a: "b" # c`, "ring-bytes": "12345678", "stream-heartbeat": "90s", "insecure-no-auth": "true", "events-bind-address": "off",
	}})
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, config.Print(&out, r))
	assert.Contains(t, out.String(), "# flag --cluster-name")
	assert.Contains(t, out.String(), "# default")
	again, err := config.Load(config.Input{Flags: map[string]string{"config": file(t, out.String())}})
	require.NoError(t, err)
	assert.Equal(t, r.Config, again.Config)
}

func TestFlags(t *testing.T) {
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags := config.AddFlags(fs)
	require.NoError(t, fs.Parse([]string{"--config=x", "--enable-grpc", "--insecure-no-auth=false", "--grpc-bind-address", ":1"}))
	assert.Equal(t, map[string]string{"config": "x", "enable-grpc": "true", "insecure-no-auth": "false", "grpc-bind-address": ":1"}, flags.Given())
	assert.Contains(t, fs.FlagUsages(), "--ring-bytes size")
}

func TestIsLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:1": true, "localhost:1": true, "[::1]:1": true, "127.9.9.9:0": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "example.test:1": false, "off": false,
	} {
		assert.Equal(t, want, config.IsLoopback(address), address)
	}
}

func TestReferenceIsUpToDate(t *testing.T) {
	const begin, end = "<!-- begin: generated by go test ./server/config -update -->\n", "<!-- end -->"
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(readme), begin)
	require.True(t, ok)
	table, tail, ok := strings.Cut(rest, end)
	require.True(t, ok)
	const beginSinks, endSinks = "<!-- begin sinks -->\n", "<!-- end sinks -->"
	before, rest, ok := strings.Cut(tail, beginSinks)
	require.True(t, ok)
	sinks, after, ok := strings.Cut(rest, endSinks)
	require.True(t, ok)
	if *update {
		tail = before + beginSinks + config.SinkReference() + endSinks + after
		require.NoError(t, os.WriteFile("README.md", []byte(head+begin+config.Reference()+end+tail), 0o644))
		return
	}
	assert.Equal(t, config.Reference(), table, "run: go test ./server/config -update")
	assert.Equal(t, config.SinkReference(), sinks, "run: go test ./server/config -update")
}

// The chart refuses a setting that does not exist before a pod does.
func TestTheChartKnowsTheSettings(t *testing.T) {
	const name = "../../deploy/helm/values.schema.json"
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(raw), "    \"config\": {\n")
	require.True(t, ok)
	before, tail, ok := strings.Cut(rest, "\n    },\n")
	require.True(t, ok)
	var own, lines []string // own are what the chart sets itself
	for _, found := range regexp.MustCompile(`"([a-z-]+)": false`).FindAllStringSubmatch(before, -1) {
		if found[1] != "additionalProperties" {
			own, lines = append(own, found[1]), append(lines, found[0])
		}
	}
	require.Len(t, own, 5)
	want := "      \"type\": \"object\",\n      \"additionalProperties\": false,\n      \"properties\": {\n        " +
		strings.Join(append(lines, config.Schema(own...)...), ",\n        ") + "\n      }"
	if *update {
		require.NoError(t, os.WriteFile(name, []byte(head+"    \"config\": {\n"+want+"\n    },\n"+tail), 0o644))
		return
	}
	assert.Equal(t, want, before, "run: go test ./server/config -update")
	assert.True(t, json.Valid(raw))
}

func FuzzLoadFile(f *testing.F) {
	f.Add("log-level: debug\nring-bytes: 8Mi\n")
	f.Add("a: &x [*x]\n")
	f.Add("<<: {a: b}")
	f.Add(goodSinks)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := config.Load(config.Input{Flags: map[string]string{"config": file(t, text)}})
		if err != nil {
			return
		}
		var out bytes.Buffer
		require.NoError(t, config.Print(&out, r))
		again, err := config.Load(config.Input{Flags: map[string]string{"config": file(t, out.String())}})
		require.NoError(t, err)
		require.Equal(t, r.Config, again.Config)
	})
}
