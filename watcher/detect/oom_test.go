package detect_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/detect"
)

func TestOOMKilled(t *testing.T) {
	const (
		warning  = rightsizerv1.Severity_SEVERITY_WARNING
		errored  = rightsizerv1.Severity_SEVERITY_ERROR
		critical = rightsizerv1.Severity_SEVERITY_CRITICAL
	)
	tests := map[string]struct {
		pod      string
		change   func(*detect.PodInput)
		messages []string
		severity rightsizerv1.Severity // of the last
		attempt  int32
	}{
		"in state": {
			pod: killedInState, severity: errored,
			messages: []string{"Container app of pod hog-6c5d8f9b7d-x2x9k was OOM-killed at its 64 MiB limit after 3 s"},
		},
		"in lastState, the state was missed": {
			pod: killedInLastState, severity: errored,
			messages: []string{"Container app of pod hog-6c5d8f9b7d-x2x9k was OOM-killed at its 64 MiB limit after 3 s"},
		},
		"in both, two kills": {
			pod: backOffTerminated, severity: critical, attempt: 3,
			messages: []string{
				"Container app of pod hog-6c5d8f9b7d-x2x9k was OOM-killed at its 64 MiB limit after 3 s (restart 2)",
				"Container app of pod hog-6c5d8f9b7d-x2x9k was OOM-killed at its 64 MiB limit after 3 s (restart 3)",
			},
		},
		"waiting in back-off": {
			pod: backOffWaiting, severity: critical, attempt: 3,
			messages: []string{"Container app of pod hog-6c5d8f9b7d-x2x9k was OOM-killed at its 64 MiB limit after 3 s (restart 3)"},
		},
		"no ready pod left": {
			pod: killedInState, severity: critical,
			change:   func(in *detect.PodInput) { in.Workload.ReadyPods = 0 },
			messages: []string{"Container app of pod hog-6c5d8f9b7d-x2x9k was OOM-killed at its 64 MiB limit after 3 s"},
		},
		"a Job's pod in phase Failed": {
			pod: jobFailed, severity: errored,
			change:   func(in *detect.PodInput) { in.Workload = detect.Workload{Kind: "Job", Name: "nightly"} },
			messages: []string{"Container report of pod nightly-x7k2p was OOM-killed at its 128 MiB limit after 4 min 10 s"},
		},
		"an init container": {
			pod: initKilled, severity: errored, attempt: 1,
			messages: []string{"Init container migrate of pod inventory-0 was OOM-killed at its 32 MiB limit after 1 s (restart 1)"},
		},
		"a native sidecar": {
			pod: sidecarKilled, severity: errored, attempt: 1,
			messages: []string{"Sidecar log-shipper of pod orders-0 was OOM-killed at its 100 MiB limit after 10 s (restart 1)"},
		},
		"an ephemeral container": {
			pod: ephemeralKilled, severity: warning,
			messages: []string{"Ephemeral container debugger of pod debugged was OOM-killed without a memory limit of its own after 10 s"},
		},
		"137 alone is any SIGKILL": {
			pod: strings.ReplaceAll(killedInState, "OOMKilled", "Error"),
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := input(podOf(t, tt.pod, nil), at("12:02:00"))
			if tt.change != nil {
				tt.change(in)
			}
			var messages []string
			findings := detect.OOMKilled{}.Detect(in, nil)
			for _, f := range findings {
				messages = append(messages, f.Message)
				assert.True(t, f.Point)
				assert.Equal(t, int32(137), oomDetails(f).GetExitCode())
			}
			assert.Equal(t, tt.messages, messages)
			if len(findings) > 0 {
				last := findings[len(findings)-1]
				assert.Equal(t, tt.severity, last.Severity)
				assert.Equal(t, tt.attempt, oomDetails(last).GetAttempt())
			}
		})
	}
}

// One kill has one id in every form in which it shows.
func TestOneKillHasOneID(t *testing.T) {
	id := func(pod string) detect.ID {
		findings := detect.OOMKilled{}.Detect(input(podOf(t, pod, nil), at("12:02:00")), nil)
		require.NotEmpty(t, findings)
		return findings[len(findings)-1].Problem
	}
	assert.Equal(t, id(killedInState), id(killedInLastState))
	assert.Equal(t, id(backOffTerminated), id(backOffWaiting))
	assert.NotEqual(t, id(killedInState), id(backOffTerminated))

	// Without a containerID the attempt tells them apart, and alike.
	bare := func(pod string) string { return strings.ReplaceAll(pod, `containerID: "containerd`, `message: "`) }
	assert.Equal(t, id(bare(killedInState)), id(bare(killedInLastState)))
	assert.Equal(t, id(bare(backOffTerminated)), id(bare(backOffWaiting)))
	assert.NotEqual(t, id(killedInState), id(bare(killedInState)))

	// An id is 32 hexadecimal digits, and stays what it is from release to
	// release: clients remember them.
	assert.Len(t, id(killedInState).String(), 32)
}

// A resize between the kill and the status that tells it does not change the
// limit at which the container was killed.
func TestTheLimitInForceAtTheKill(t *testing.T) {
	running := podOf(t, strings.Replace(strings.Replace(killedInLastState, "restartCount: 1", "restartCount: 0", 1),
		"limits: {cpu: 500m, memory: 64Mi}}\n    state", "limits: {cpu: 500m, memory: 96Mi}}\n    state", 1), nil)
	resized := podOf(t, strings.ReplaceAll(killedInState, "memory: 64Mi}", "memory: 256Mi}"), running)
	in := input(resized, at("12:02:00"))
	findings := detect.OOMKilled{}.Detect(in, nil)
	require.Len(t, findings, 1)
	assert.Equal(t, int64(256<<20), oomDetails(findings[0]).GetMemoryLimitBytes(), "nothing else is known")
	in.Prev = running
	findings = detect.OOMKilled{}.Detect(in, nil)
	assert.Equal(t, int64(96<<20), oomDetails(findings[0]).GetMemoryLimitBytes(), "the status before, which ran in place at 96 MiB")
	assert.Equal(t, 3*time.Second, oomDetails(findings[0]).GetLifetime().AsDuration())
}

func oomDetails(f detect.Finding) *rightsizerv1.OomKilledDetails {
	d, _ := f.Details.(*rightsizerv1.OomKilledDetails)
	return d
}
