package dashboards_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// well is an operator at rest, in promtool's notation: a value, and how it goes on
// each minute.
const well = `
rightsizer_build_info{job="r",instance="a",version="v"} 1x100
rightsizer_ready{job="r",instance="a"} 1x100
rightsizer_leader{job="r",instance="a"} 1x100
rightsizer_component_ok{job="r",instance="a",component="audit"} 1x100
rightsizer_audit_up{job="r",instance="a"} 1x100
rightsizer_audit_tampered_total{job="r",instance="a"} 0x100
rightsizer_frozen{job="r",instance="a"} 0x100
rightsizer_policies{job="r",instance="a",kind="RightSizerPolicy",accepted="true"} 3x100
rightsizer_policies{job="r",instance="a",kind="RightSizerPolicy",accepted="false"} 0x100
rightsizer_stream_lost_events_total{job="r",instance="a",protocol="grpc"} 5x100
rightsizer_stream_refused_total{job="r",instance="a",reason="full"} 2x100
rightsizer_sink_events_total{job="r",instance="a",sink="pager",result="sent"} 0+1x100
rightsizer_sink_events_total{job="r",instance="a",sink="pager",result="failed"} 1x100
rightsizer_rpc_calls_total{job="r",instance="a",procedure="p",protocol="grpc",code="ok"} 0+60x100
rightsizer_rpc_calls_total{job="r",instance="a",procedure="p",protocol="grpc",code="internal"} 0+1x100
rightsizer_http_panics_total{job="r",instance="a"} 0x100
rightsizer_remediation_panics_total{job="r",instance="a"} 0x100
rightsizer_tls_certificate_expiry_timestamp_seconds{job="r",instance="a"} 9000000x100
rightsizer_config_refused{job="r",instance="a"} 0x100
rightsizer_config_restart_pending{job="r",instance="a"} 0x100
rightsizer_access_file_refused{job="r",instance="a",file="static tokens"} 0x100
process_resident_memory_bytes{job="r",instance="a"} 60000000x100
process_resident_memory_bytes{job="other",instance="b"} 900000000x100
go_gc_gomemlimit_bytes{job="r",instance="a"} 100000000x100
go_gc_gomemlimit_bytes{job="other",instance="b"} 100000000x100
`

// ill is what makes each alert fire: series that stand for those of the same name and
// labels above, or come to them; a name alone is one that is absent.
var ill = map[string]string{
	"RightSizerAbsent":             `rightsizer_build_info`,
	"RightSizerNotReady":           `rightsizer_ready{job="r",instance="a"} 1x50 0x50`,
	"RightSizerNoLeader":           `rightsizer_leader{job="r",instance="a"} 1x50 0x50`,
	"RightSizerComponentNotWell":   `rightsizer_component_ok{job="r",instance="a",component="audit"} 1x50 0x50`,
	"RightSizerAuditDown":          `rightsizer_audit_up{job="r",instance="a"} 1x50 0x50`,
	"RightSizerAuditTampered":      `rightsizer_audit_tampered_total{job="r",instance="a"} 0x50 1x50`,
	"RightSizerRemediationsFail":   `rightsizer_remediation_transitions_total{job="r",instance="a",action="resize_in_place",state="Escalated"} _x50 3x50`,
	"RightSizerEffectUnknown":      `rightsizer_remediation_effects_total{job="r",instance="a",action="resize_in_place",result="unknown"} _x50 1x50`,
	"RightSizerFrozen":             `rightsizer_frozen{job="r",instance="a"} 0x20 1x80`,
	"RightSizerPolicyRefused":      `rightsizer_policies{job="r",instance="a",kind="RightSizerPolicy",accepted="false"} 0x50 1x50`,
	"RightSizerEventsLost":         `rightsizer_stream_lost_events_total{job="r",instance="a",protocol="grpc"} 5x95 9x5`,
	"RightSizerStreamsRefused":     `rightsizer_stream_refused_total{job="r",instance="a",reason="full"} 2x95 3x5`,
	"RightSizerSinkFails":          `rightsizer_sink_events_total{job="r",instance="a",sink="pager",result="failed"} 1x95 2x5`,
	"RightSizerCallsFail":          `rightsizer_rpc_calls_total{job="r",instance="a",procedure="p",protocol="grpc",code="internal"} 0+10x100`,
	"RightSizerPanics":             `rightsizer_rpc_panics_total{job="r",instance="a",procedure="p"} _x60 1x40`,
	"RightSizerCertificateExpires": `rightsizer_tls_certificate_expiry_timestamp_seconds{job="r",instance="a"} 600000x100`,
	"RightSizerFileRefused":        `rightsizer_access_file_refused{job="r",instance="a",file="static tokens"} 0x50 1x50`,
	"RightSizerRestartPending":     `rightsizer_config_restart_pending{job="r",instance="a"} 1x1600`,
	"RightSizerMemoryNearLimit":    `process_resident_memory_bytes{job="r",instance="a"} 60000000x50 120000000x50`,
}

// evaluate loads series, evaluates the rules at each minute, and returns the alerts
// that fire at the end.
func evaluate(t *testing.T, series string, minutes int) []string {
	t.Helper()
	storage := promqltest.LoadedStorage(t, "load 1m\n"+strings.TrimSpace(series)+"\n")
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, 100_000)
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc: rules.EngineQueryFunc(engine, storage), Appendable: storage, Queryable: storage, Context: t.Context(),
		NotifyFunc: func(context.Context, string, ...*rules.Alert) {}, Logger: slog.New(slog.DiscardHandler), Parser: parse,
	})
	groups, errs := manager.LoadGroups(time.Minute, labels.EmptyLabels(), "", nil, false, "alerts.yaml")
	require.Empty(t, errs)
	var firing []string
	for _, g := range groups {
		for _, r := range g.Rules() {
			r.(*rules.AlertingRule).SetRestored(true)
		}
		for m := range minutes {
			g.Eval(t.Context(), time.Unix(0, 0).Add(time.Duration(m)*time.Minute))
		}
		for _, r := range g.Rules() {
			require.NoError(t, r.LastError())
			for _, a := range r.(*rules.AlertingRule).ActiveAlerts() {
				if a.State == rules.StateFiring {
					firing = append(firing, r.Name())
				}
			}
		}
	}
	slices.Sort(firing)
	return slices.Compact(firing)
}

// with is well, with what is ill.
func with(change string) string {
	key := strings.TrimSpace(strings.SplitN(change, "} ", 2)[0])
	var lines []string
	for line := range strings.Lines(well) {
		if !strings.HasPrefix(line, key) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	if strings.Contains(change, " ") {
		lines = append(lines, change)
	}
	return strings.Join(lines, "\n")
}

func TestNoAlertFiresWhenAllIsWell(t *testing.T) {
	assert.Empty(t, evaluate(t, well, 100))
}

func TestEachAlertFiresForWhatItIsAbout(t *testing.T) {
	known := metrics(t)
	manager := rules.NewManager(&rules.ManagerOptions{Logger: slog.New(slog.DiscardHandler), Parser: parse})
	groups, errs := manager.LoadGroups(time.Minute, labels.EmptyLabels(), "", nil, false, "alerts.yaml")
	require.Empty(t, errs)
	var names []string
	for _, g := range groups {
		for _, r := range g.Rules() {
			alert := r.(*rules.AlertingRule)
			names = append(names, r.Name())
			judge(t, known, r.Name(), alert.Query().String())
			assert.Contains(t, []string{"info", "warning", "critical"}, alert.Labels().Get("severity"), r.Name())
			assert.NotEmpty(t, alert.Annotations().Get("summary"), r.Name())
			assert.Equal(t, "https://github.com/rightsizer/rightsizer/blob/main/deploy/dashboards/runbooks.md#"+strings.ToLower(r.Name()), alert.Annotations().Get("runbook_url"))
			minutes := 100
			if r.Name() == "RightSizerRestartPending" {
				minutes = 1500 // it waits for a day
			}
			require.Contains(t, ill, r.Name())
			series := with(ill[r.Name()])
			if minutes > 100 {
				series = strings.ReplaceAll(series, "x100", "x1600")
			}
			assert.Equal(t, []string{r.Name()}, evaluate(t, series, minutes))
		}
	}
	assert.Equal(t, names, headings(t, "runbooks.md"), "each has its runbook, in this order")
	assert.Len(t, ill, len(names))
}
