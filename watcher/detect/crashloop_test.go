package detect_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// container is a container's status in one line of a table.
type container struct {
	restarts int32
	policy   string // of the pod; Always by default
	rules    string // YAML beside the name, such as restartPolicyRules
	phase    string // of the pod; Running by default
	state    string // YAML
	last     string // YAML of terminated
}

func (c container) pod(t *testing.T, before *object.Pod) *object.Pod {
	t.Helper()
	if c.policy == "" {
		c.policy = "Always"
	}
	if c.phase == "" {
		c.phase = "Running"
	}
	text := fmt.Sprintf(`
metadata: {name: p, namespace: ns, uid: u1, creationTimestamp: "2026-11-23T12:00:00Z"}
spec: {restartPolicy: %s, containers: [{name: app, image: i%s}]}
status:
  phase: %s
  containerStatuses:
  - {name: app, restartCount: %d, state: %s, lastState: {%s}}
`, c.policy, c.rules, c.phase, c.restarts, c.state, c.last)
	return podOf(t, text, before)
}

func run(from string) string { return fmt.Sprintf(`{running: {startedAt: "2026-11-23T%sZ"}}`, from) }

func ended(from, to string, code int) string {
	return fmt.Sprintf(`terminated: {containerID: "c://%s", exitCode: %d, reason: Error, startedAt: "2026-11-23T%sZ", finishedAt: "2026-11-23T%sZ"}`,
		from, code, from, to)
}

// rules of a container with a policy of its own: one, in YAML.
func rules(policy, action, operator, codes string) string {
	return fmt.Sprintf(`, restartPolicy: %s, restartPolicyRules: [{action: %s, exitCodes: {operator: %s, values: [%s]}}]`,
		policy, action, operator, codes)
}

func TestCrashLoopAtFirstSight(t *testing.T) {
	tests := map[string]struct {
		container
		now     string
		open    bool
		over    bool
		backoff time.Duration
		wake    string
		clean   bool
	}{
		"never restarted": {container: container{state: run("12:00:01")}, now: "12:05:00"},
		"first end, the restart is due": {
			container: container{state: "{" + ended("12:00:01", "12:00:02", 1) + "}"}, now: "12:00:03",
		},
		"one restart, runs": {
			container: container{restarts: 1, state: run("12:00:03"), last: ended("12:00:01", "12:00:02", 1)}, now: "12:00:05",
		},
		"one restart, waits in a back-off that is announced": {
			container: container{restarts: 1, state: "{waiting: {reason: CrashLoopBackOff}}", last: ended("12:00:03", "12:00:04", 1)},
			now:       "12:00:05", open: true, backoff: 10 * time.Second,
		},
		"two restarts, terminated": {
			container: container{restarts: 2, state: "{" + ended("12:00:20", "12:00:21", 1) + "}", last: ended("12:00:05", "12:00:06", 1)},
			now:       "12:00:22", open: true, backoff: 20 * time.Second,
		},
		"two restarts, runs again": {
			container: container{restarts: 2, state: run("12:00:31"), last: ended("12:00:20", "12:00:21", 1)},
			now:       "12:00:40", open: true, wake: "12:10:31",
		},
		"nine restarts, terminated: at most five minutes": {
			container: container{restarts: 9, state: "{" + ended("12:40:00", "12:40:01", 1) + "}", last: ended("12:34:00", "12:34:01", 1)},
			now:       "12:40:02", open: true, backoff: 5 * time.Minute,
		},
		"clean exits for ever": {
			container: container{restarts: 2, state: "{" + ended("12:00:20", "12:00:21", 0) + "}", last: ended("12:00:05", "12:00:06", 0)},
			now:       "12:00:22", open: true, backoff: 20 * time.Second, clean: true,
		},
		"it has run for ten minutes": {
			container: container{restarts: 5, state: run("12:00:31"), last: ended("12:00:20", "12:00:21", 1)},
			now:       "12:10:31", over: true,
		},
		"a completed run under OnFailure": {
			container: container{policy: "OnFailure", restarts: 2, state: "{" + ended("12:00:20", "12:00:21", 0) + "}", last: ended("12:00:05", "12:00:06", 1)},
			now:       "12:00:22", over: true,
		},
		"the pod has failed for good": {
			container: container{policy: "OnFailure", phase: "Failed", restarts: 3, state: "{" + ended("12:00:20", "12:00:21", 1) + "}", last: ended("12:00:05", "12:00:06", 1)},
			now:       "12:00:22", over: true,
		},
		"never restarts": {
			container: container{policy: "Never", state: "{" + ended("12:00:20", "12:00:21", 1) + "}"}, now: "12:00:22",
		},
		"a rule restarts what never restarts": {
			container: container{policy: "Never", rules: rules("Never", "Restart", "In", "42"), restarts: 2, state: "{" + ended("12:00:20", "12:00:21", 42) + "}", last: ended("12:00:05", "12:00:06", 42)},
			now:       "12:00:22", open: true, backoff: 20 * time.Second,
		},
		"a rule restarts what never restarts, and it runs": {
			container: container{policy: "Never", rules: rules("Never", "RestartAllContainers", "In", "7, 42"), restarts: 2, state: run("12:00:31"), last: ended("12:00:20", "12:00:21", 42)},
			now:       "12:00:40", open: true, wake: "12:10:31",
		},
		"no rule is for that exit code": {
			container: container{policy: "Never", rules: rules("Never", "Restart", "In", "42"), restarts: 2, state: "{" + ended("12:00:20", "12:00:21", 1) + "}", last: ended("12:00:05", "12:00:06", 42)},
			now:       "12:00:22", over: true,
		},
		"a rule is for all other exit codes": {
			container: container{policy: "Never", rules: rules("Never", "Restart", "NotIn", "0, 1"), restarts: 2, state: "{" + ended("12:00:20", "12:00:21", 2) + "}", last: ended("12:00:05", "12:00:06", 2)},
			now:       "12:00:22", open: true, backoff: 20 * time.Second,
		},
		"a rule restarts a completed run under OnFailure": {
			container: container{policy: "OnFailure", rules: rules("OnFailure", "Restart", "In", "0"), restarts: 2, state: "{" + ended("12:00:20", "12:00:21", 0) + "}", last: ended("12:00:05", "12:00:06", 0)},
			now:       "12:00:22", open: true, backoff: 20 * time.Second, clean: true,
		},
		"a rule that is met leaves none to the next": {
			container: container{policy: "Never", rules: `, restartPolicy: Never, restartPolicyRules: [{action: Rest, exitCodes: {operator: In, values: [42]}}, {action: Restart, exitCodes: {operator: NotIn, values: [1]}}]`, restarts: 2, state: "{" + ended("12:00:20", "12:00:21", 42) + "}", last: ended("12:00:05", "12:00:06", 2)},
			now:       "12:00:22", over: true,
		},
		"rules of a container without a policy are none": {
			container: container{policy: "OnFailure", rules: `, restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [0]}}]`, restarts: 2, state: "{" + ended("12:00:20", "12:00:21", 0) + "}", last: ended("12:00:05", "12:00:06", 1)},
			now:       "12:00:22", over: true,
		},
		"five restarts over a day, the last run was short": {
			container: container{restarts: 5, state: run("22:00:02"), last: ended("21:59:00", "22:00:01", 1)}, now: "22:00:05",
		},
		"a long run just ended": {
			container: container{restarts: 5, state: "{" + ended("13:00:00", "14:00:00", 1) + "}", last: ended("12:59:00", "12:59:01", 1)},
			now:       "14:00:01",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			findings := detect.CrashLoop{}.Detect(input(tt.pod(t, nil), at(tt.now)), nil)
			if !tt.open && !tt.over {
				// An end of what was never open may be told; it is ignored.
				for _, f := range findings {
					assert.True(t, f.Over)
				}
				return
			}
			require.Len(t, findings, 1)
			f := findings[0]
			assert.Equal(t, tt.over, f.Over)
			assert.Equal(t, tt.backoff, loopDetails(f).GetBackoff().AsDuration())
			assert.Equal(t, tt.restarts, loopDetails(f).GetRestartCount())
			if tt.wake != "" {
				assert.Equal(t, at(tt.wake).Unix(), f.Wake)
			}
			switch {
			case tt.over:
				assert.Equal(t, rightsizerv1.Severity_SEVERITY_INFO, f.Severity)
			case tt.clean:
				assert.Equal(t, rightsizerv1.Severity_SEVERITY_WARNING, f.Severity)
			default:
				assert.GreaterOrEqual(t, f.Severity, rightsizerv1.Severity_SEVERITY_ERROR)
			}
		})
	}
}

func TestCrashLoopIsOverWithThePod(t *testing.T) {
	c := container{restarts: 3, state: "{" + ended("12:00:20", "12:00:21", 1) + "}", last: ended("12:00:05", "12:00:06", 1)}
	in := input(c.pod(t, nil), at("12:00:22"))
	in.Gone = true
	findings := detect.CrashLoop{}.Detect(in, nil)
	require.Len(t, findings, 1)
	assert.True(t, findings[0].Over)
	assert.Equal(t, "Container app of pod p no longer crash-loops: the pod was deleted (restarted 3 times)", findings[0].Message)
}

// What ended for good did not always complete.
func TestCrashLoopIsOverWithAnEndThatNoRuleIsFor(t *testing.T) {
	c := container{
		policy: "Never", rules: rules("Never", "Restart", "In", "42"), restarts: 3,
		state: "{" + ended("12:00:20", "12:00:21", 1) + "}", last: ended("12:00:05", "12:00:06", 42),
	}
	findings := detect.CrashLoop{}.Detect(input(c.pod(t, nil), at("12:00:22")), nil)
	require.Len(t, findings, 1)
	assert.Equal(t, "Container app of pod p no longer crash-loops: it ended with exit code 1 and is not restarted (restarted 3 times)", findings[0].Message)
}

// A row that was followed from its beginning and one that is met in the middle
// have one id, as long as it is the first of the container.
func TestARowIsTheSameFromTheMiddle(t *testing.T) {
	followed := container{state: run("12:00:01")}.pod(t, nil)
	last := ""
	for i := range int32(6) {
		from, to := fmt.Sprintf("12:%02d:00", 5*i+1), fmt.Sprintf("12:%02d:30", 5*i+1)
		followed = container{restarts: i, state: "{" + ended(from, to, 1) + "}", last: last}.pod(t, followed)
		last = ended(from, to, 1)
		next := container{restarts: i + 1, state: run(fmt.Sprintf("12:%02d:00", 5*(i+1)+1)), last: last}
		followed = next.pod(t, followed)
		if i == 0 {
			continue
		}
		met := next.pod(t, nil)
		now := at(fmt.Sprintf("12:%02d:10", 5*(i+1)+1))
		a := detect.CrashLoop{}.Detect(input(followed, now), nil)
		b := detect.CrashLoop{}.Detect(input(met, now), nil)
		require.Len(t, a, 1)
		require.Len(t, b, 1)
		assert.Equal(t, a[0].Problem, b[0].Problem)
		assert.Equal(t, a[0].Ordinal, b[0].Ordinal)
	}
}

// A run of ten minutes begins another row, whether its end was seen in state or
// in lastState alone.
func TestALongRunBeginsAnotherRow(t *testing.T) {
	short := container{restarts: 2, state: run("12:00:31"), last: ended("12:00:20", "12:00:21", 1)}
	first := short.pod(t, nil)
	before := detect.CrashLoop{}.Detect(input(first, at("12:00:40")), nil)
	require.Len(t, before, 1)

	end := ended("12:00:31", "13:00:00", 1)
	seen := container{restarts: 2, state: "{" + end + "}", last: ended("12:00:20", "12:00:21", 1)}.pod(t, first)
	missed := container{restarts: 3, state: run("13:00:01"), last: end}.pod(t, first)
	assert.Equal(t, int32(2), seen.Containers[0].RowStart)
	assert.Equal(t, int32(2), missed.Containers[0].RowStart)

	in := input(seen, at("13:00:01"))
	in.Prev = first
	findings := detect.CrashLoop{}.Detect(in, nil)
	require.NotEmpty(t, findings)
	assert.True(t, findings[0].Over, "the former row ends")
	assert.Equal(t, before[0].Problem, findings[0].Problem)
}

func TestThresholds(t *testing.T) {
	require.NoError(t, detect.DefaultThresholds().Validate())
	require.ErrorContains(t, detect.Thresholds{}.Validate(), "CrashLoopRestarts is 0, must be 1 to 1000")
}

func loopDetails(f detect.Finding) *rightsizerv1.CrashLoopDetails {
	d, _ := f.Details.(*rightsizerv1.CrashLoopDetails)
	return d
}
