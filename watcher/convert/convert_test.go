package convert_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
	"unsafe"

	"buf.build/go/protovalidate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/rightsizer/rightsizer/watcher/convert"
	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/track"
)

func pod(t testing.TB, text string) *corev1.Pod {
	t.Helper()
	var out corev1.Pod
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &out))
	return &out
}

const identity = "metadata: {name: p, namespace: ns, uid: u}\n"

// What the scheduler counts.
func TestRequests(t *testing.T) {
	tests := map[string]struct {
		pod  string
		want object.Resources
	}{
		"app containers add up": {
			pod:  `spec: {containers: [{name: a, resources: {requests: {cpu: 100m, memory: 1Mi}}}, {name: b, resources: {requests: {cpu: 200m}}}]}`,
			want: object.Resources{CPUMillis: 300, MemoryBytes: 1 << 20},
		},
		"the largest init container counts alone": {
			pod:  `spec: {initContainers: [{name: i, resources: {requests: {cpu: "1"}}}, {name: j, resources: {requests: {memory: 2Mi}}}], containers: [{name: a, resources: {requests: {cpu: 100m, memory: 1Mi}}}]}`,
			want: object.Resources{CPUMillis: 1000, MemoryBytes: 2 << 20},
		},
		"sidecars count with app containers, and with the init containers after them": {
			pod:  `spec: {initContainers: [{name: i, resources: {requests: {cpu: 500m}}}, {name: s, restartPolicy: Always, resources: {requests: {cpu: 300m}}}, {name: j, resources: {requests: {cpu: 400m}}}], containers: [{name: a, resources: {requests: {cpu: 100m}}}]}`,
			want: object.Resources{CPUMillis: 700},
		},
		"overhead": {
			pod:  `spec: {overhead: {cpu: 250m, memory: 1Mi}, containers: [{name: a, resources: {requests: {cpu: 100m}}}]}`,
			want: object.Resources{CPUMillis: 350, MemoryBytes: 1 << 20},
		},
		"requests of the pod as a whole": {
			pod:  `spec: {resources: {requests: {cpu: "2"}}, containers: [{name: a, resources: {requests: {cpu: 100m, memory: 1Mi}}}]}`,
			want: object.Resources{CPUMillis: 2000, MemoryBytes: 1 << 20},
		},
		"a resize downwards holds what it has": {
			pod:  `{spec: {containers: [{name: a, resources: {requests: {cpu: 100m}}}]}, status: {containerStatuses: [{name: a, allocatedResources: {cpu: 100m}, resources: {requests: {cpu: 400m}}}]}}`,
			want: object.Resources{CPUMillis: 400},
		},
		"a resize upwards holds what it wants": {
			pod:  `{spec: {containers: [{name: a, resources: {requests: {cpu: 900m}}}]}, status: {containerStatuses: [{name: a, allocatedResources: {cpu: 100m}, resources: {requests: {cpu: 100m}}}]}}`,
			want: object.Resources{CPUMillis: 900},
		},
		"unless it is infeasible": {
			pod:  `{spec: {containers: [{name: a, resources: {requests: {cpu: 900m}}}]}, status: {conditions: [{type: PodResizePending, status: "True", reason: Infeasible}], containerStatuses: [{name: a, allocatedResources: {cpu: 100m}, resources: {requests: {cpu: 100m}}}]}}`,
			want: object.Resources{CPUMillis: 100},
		},
		"absurd quantities saturate, negative ones are none": {
			pod:  `spec: {containers: [{name: a, resources: {requests: {cpu: "9000000000000000000", memory: "9000000000000000000"}}}, {name: b, resources: {requests: {memory: "9000000000000000000", cpu: "-1"}}}]}`,
			want: object.Resources{CPUMillis: 1<<63 - 1, MemoryBytes: 1<<63 - 1},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := pod(t, tt.pod)
			p.Name, p.Namespace, p.UID = "p", "ns", "u"
			got, err := convert.New().Pod(p)
			require.NoError(t, err)
			assert.Equal(t, tt.want, got.Requests)
		})
	}
}

// After which exit codes a container is started again by its rules.
func TestRestartRules(t *testing.T) {
	for name, tt := range map[string]struct {
		pod  string
		want []int32
	}{
		"one": {
			`containers: [{name: a, restartPolicy: Never, restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [42, 255]}}]}]`,
			[]int32{42, 255},
		},
		"beyond what is kept": {
			`containers: [{name: a, restartPolicy: Never, restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [70000]}}]}]`,
			[]int32{-1},
		},
		"the first of several holds": {
			`containers: [{name: a, restartPolicy: Never, restartPolicyRules: [{action: Later, exitCodes: {operator: In, values: [1, 2]}}, {action: Restart, exitCodes: {operator: In, values: [2, 3]}}, {action: Restart}, {action: Restart, exitCodes: {operator: Near, values: [9]}}]}]`,
			[]int32{3},
		},
		"an init container that succeeded is over": {
			`initContainers: [{name: a, restartPolicy: Never, restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [0, 1]}}]}]`,
			[]int32{1},
		},
		"unless all are started again": {
			`initContainers: [{name: a, restartPolicy: Never, restartPolicyRules: [{action: RestartAllContainers, exitCodes: {operator: In, values: [0]}}]}]`,
			[]int32{0},
		},
		"none without a policy": {
			`containers: [{name: a, restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [42]}}]}]`, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := convert.New().Pod(pod(t, identity+"spec: {"+tt.pod+"}"))
			require.NoError(t, err)
			var got []int32
			for code := int32(-1); code <= 255; code++ {
				if p.Containers[0].RestartCodes.Has(code) {
					got = append(got, code)
				}
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestMalformedObjectsAreNamed(t *testing.T) {
	c := convert.New()
	_, err := c.Pod(pod(t, "metadata: {name: p, namespace: ns}"))
	require.EqualError(t, err, `Pod "ns/p": uid is empty`)
	_, err = c.Pod(pod(t, "metadata: {name: \"p\\e[2J\", namespace: ns, uid: u}"))
	require.ErrorContains(t, err, "has a character that is not allowed")
	_, err = c.Pod(pod(t, identity+"spec: {containers: [{name: \"\"}]}"))
	require.EqualError(t, err, `Pod "ns/p": container name is empty`)
	_, err = c.Pod(nil)
	require.Error(t, err)
	_, err = c.Node(&corev1.Node{})
	require.EqualError(t, err, `Node "": name is empty`)
	_, err = c.Controller("Job", &metav1.PartialObjectMetadata{})
	require.EqualError(t, err, `Job "": name is empty`)
}

func TestText(t *testing.T) {
	assert.Equal(t, "a b c", convert.Text("a\nb\x1bc", 100))
	assert.Equal(t, "safe ", convert.Text("safe\u202e", 100), "no reordering")
	assert.Equal(t, "a\uFFFDb", convert.Text("a\xff\xfeb", 100))
	assert.Equal(t, "ä", convert.Text("äö", 3), "cut at a character")
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(0, 40).Draw(t, "limit")
		got := convert.Text(string(rapid.SliceOf(rapid.Byte()).Draw(t, "s")), limit)
		if len(got) > limit || !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\x1b\n\r") {
			t.Fatalf("%q", got)
		}
	})
}

// What is cut does not hold in memory what it is cut from: of an Event that is up
// to 1 MiB.
func TestWhatIsCutIsLetGo(t *testing.T) {
	for name, message := range map[string]string{
		"one": strings.Repeat("m", 1<<20), "combined": "(combined from similar events): " + strings.Repeat("m", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			got := convert.New().KubeEvent(&corev1.Event{Message: message}).Message
			require.Len(t, got, 512)
			from, at := uintptr(unsafe.Pointer(unsafe.StringData(message))), uintptr(unsafe.Pointer(unsafe.StringData(got)))
			assert.False(t, from <= at && at < from+uintptr(len(message)), "a part of the message")
		})
	}
}

// Equal strings of different pods are held once, and the table is bounded.
func TestOwnersAreShared(t *testing.T) {
	c := convert.New()
	text := `metadata: {name: p, namespace: ns, uid: u, ownerReferences: [{kind: ReplicaSet, name: rs, uid: r, controller: true}]}`
	a, err := c.Pod(pod(t, text))
	require.NoError(t, err)
	b, err := c.Pod(pod(t, text))
	require.NoError(t, err)
	assert.Same(t, a.Owner, b.Owner)
}

// FuzzPod: no pod makes conversion, detection or tracking panic, and what comes
// out has the schema's bounds.
func FuzzPod(f *testing.F) {
	for _, seed := range []string{
		identity + "spec: {containers: [{name: app, resources: {limits: {memory: 64Mi}}}]}\nstatus: {containerStatuses: [{name: app, restartCount: 3, state: {terminated: {reason: OOMKilled, exitCode: 137}}}]}",
		identity + "spec: {initContainers: [{name: s, restartPolicy: Always}], ephemeralContainers: [{name: e}]}\nstatus: {initContainerStatuses: [{name: s, restartCount: -1, lastState: {terminated: {exitCode: -2147483648}}, state: {running: {startedAt: \"0001-01-01T00:00:01Z\"}}}]}",
		identity + "spec: {overhead: {cpu: \"-1e300\"}, resources: {requests: {memory: 1e300}}}\nstatus: {phase: \"\\u202e\", conditions: [{type: Ready}]}",
		identity + "spec: {containers: [{name: app, image: x}]}\nstatus: {phase: Pending, conditions: [{type: PodScheduled, status: \"False\", reason: Unschedulable, message: \"0/5 nodes are available: 2 x, 3 y\"}, {type: PodResizePending, status: \"True\", reason: Deferred}, {type: PodResizeInProgress, status: \"True\", reason: Error}, {type: DisruptionTarget, status: \"True\"}], containerStatuses: [{name: app, state: {waiting: {reason: ErrImagePull, message: \"\\u202e\"}}}]}",
		identity + "spec: {containers: [{name: app}]}\nstatus: {phase: Failed, reason: OutOfcpu, containerStatuses: [{name: app, state: {waiting: {reason: CreateContainerConfigError, message: \"couldn't find key k in Secret a/b\"}}}]}",
		"metadata: {name: \"\", ownerReferences: [{controller: true}]}",
		"{}",
	} {
		raw, err := yaml.YAMLToJSON([]byte(seed))
		require.NoError(f, err)
		f.Add(raw, []byte("BackOff"))
		f.Add(raw, []byte(`Liveness probe failed: MountVolume for volume "x" : plugin type="y" network`))
	}
	c := convert.New()
	f.Fuzz(func(t *testing.T, raw, text []byte) {
		var pod corev1.Pod
		if json.Unmarshal(raw, &pod) != nil {
			// Bytes that are no JSON are tried as protobuf, the usual form.
			pod = corev1.Pod{}
			if pod.Unmarshal(raw) != nil {
				return
			}
		}
		c.KubeEvent(&corev1.Event{Reason: string(text), InvolvedObject: corev1.ObjectReference{FieldPath: string(text), Kind: string(text)}})
		evidence := hearsay(c, string(text))
		compact, err := c.Pod(&pod)
		if err != nil {
			return
		}
		detect.Advance(nil, compact, time.Minute)
		in := detect.PodInput{
			Cluster: "c", Cur: compact, Now: time.Unix(1_800_000_000, 0), Thresholds: detect.DefaultThresholds(),
			Workload: detect.Workload{Kind: "Pod", Name: compact.Name}, Evidence: evidence,
		}
		var findings []detect.Finding
		for _, d := range detect.Pods() {
			findings = d.Detect(&in, findings)
		}
		for _, e := range track.New(10).Observe(&track.Observation{
			Subject: detect.PodSubject(&in), Cluster: in.Cluster, Now: in.Now, Findings: findings,
		}, nil) {
			if err := protovalidate.Validate(e); err != nil {
				t.Errorf("%v: %v", e, err)
			}
			if _, err := proto.Marshal(e); err != nil {
				t.Errorf("%v: %v", e, err)
			}
		}
	})
}

// hearsay are notes of all kinds of Events that say the text.
func hearsay(c *convert.Converter, text string) detect.Evidence {
	var out detect.Evidence
	for _, reason := range []string{
		"BackOff", "Unhealthy", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "NetworkNotReady",
		"DNSConfigForming", "Evicted", "Preempted",
	} {
		note, ok := detect.NoteOf(c.KubeEvent(&corev1.Event{
			Reason: reason, Message: text, Count: 5, LastTimestamp: metav1.Unix(1_799_999_999, 0),
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", FieldPath: "spec.containers{app}"},
		}))
		if ok {
			out = append(out, note)
		}
	}
	return out
}
