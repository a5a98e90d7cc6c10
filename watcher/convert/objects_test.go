package convert_test

import (
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"buf.build/go/protovalidate"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/convert"
	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/track"
)

// When a node was cordoned stands with the field's owner.
func TestCordonedAt(t *testing.T) {
	at := metav1.NewTime(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "u1", ManagedFields: []metav1.ManagedFieldsEntry{
			{Manager: "kubelet", Time: &at},
			{Manager: "kubectl-cordon", Time: &at, FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:unschedulable":{}}}`)},
		}},
		Spec: corev1.NodeSpec{Unschedulable: true},
	}
	got, err := convert.New().Node(n)
	require.NoError(t, err)
	assert.Equal(t, at.Unix(), got.CordonedAt)
	n.Spec.Unschedulable = false
	got, err = convert.New().Node(n)
	require.NoError(t, err)
	assert.Zero(t, got.CordonedAt)
}

// A StatefulSet's partition holds some pods back.
func TestStatefulSetPartition(t *testing.T) {
	wanted, partition := int32(5), int32(3)
	got, err := convert.New().StatefulSet(&appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: "shop", UID: "u1"},
		Spec: appsv1.StatefulSetSpec{Replicas: &wanted, UpdateStrategy: appsv1.StatefulSetUpdateStrategy{
			RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: &partition},
		}},
	})
	require.NoError(t, err)
	assert.EqualValues(t, 5, got.Desired)
	assert.EqualValues(t, 2, got.Rollout.Wanted)
}

// No node, controller or policy makes the conversion or a detector panic, and
// whatever is told of it fits the schema.
func FuzzObjects(f *testing.F) {
	const meta = `metadata: {name: a, namespace: b, uid: u, generation: -1, annotations: {deployment.kubernetes.io/revision: "9", deprecated.daemonset.template.generation: "\x1b", metrics.k8s.io/resource-metrics-path: "../../proxy?x=\u202e"}}` + "\n"
	for _, seed := range []string{
		meta + `{spec: {unschedulable: true, taints: [{key: k, effect: NoExecute, timeAdded: "2026-01-01T00:00:00Z"}]}, status: {allocatable: {cpu: "-1", pods: "1e30"}, conditions: [{type: MemoryPressure, status: "True"}, {type: Ready}]}}`[1:],
		meta + `spec: {replicas: 2}` + "\n" + `status: {replicas: -3, availableReplicas: 1, conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}, {type: ReplicaFailure, status: "True", message: 'exceeded quota: q, requested: a=1,b=2, used: a=1,b=0, limited: a=1,b=1'}]}`,
		meta + `status: {failed: -1, conditions: [{type: Failed, status: "True", message: "\u202e"}]}`,
		meta + `spec: {maxReplicas: 1, scaleTargetRef: {kind: Deployment, name: a}}` + "\n" + `status: {currentReplicas: 1, conditions: [{type: ScalingLimited, status: "True", reason: TooManyReplicas}, {type: ScalingActive, status: "False"}]}`,
		meta + `status: {expectedPods: 1, conditions: [{type: DisruptionAllowed, status: "False", lastTransitionTime: "2026-01-01T00:00:00Z"}]}`,
		"{}",
	} {
		raw, err := yaml.YAMLToJSON([]byte(seed))
		if err != nil {
			raw = []byte(seed)
		}
		f.Add(raw)
	}
	c := convert.New()
	f.Fuzz(func(t *testing.T, raw []byte) {
		if n := read[corev1.Node](raw, c.Node); n != nil {
			detect.AdvanceNode(nil, n, false, time.Minute, time.Unix(2e9, 0))
			m := &detect.Machine{Node: n, Load: object.NodeLoad{Requested: object.Resources{CPUMillis: 1 << 62}, Pods: 9}}
			thresholds := detect.DefaultThresholds()
			detect.AdvanceMachine(nil, m, &thresholds, time.Unix(2e9, 0))
			valid(t, m, detect.Nodes(), detect.NodeSubject, "")
		}
		for _, convertTo := range []func() *object.Controller{
			func() *object.Controller { return read[appsv1.Deployment](raw, c.Deployment) },
			func() *object.Controller { return read[appsv1.StatefulSet](raw, c.StatefulSet) },
			func() *object.Controller { return read[appsv1.DaemonSet](raw, c.DaemonSet) },
			func() *object.Controller { return read[batchv1.Job](raw, c.Job) },
		} {
			if o := convertTo(); o != nil {
				detect.AdvanceController(nil, o, false, time.Minute, time.Unix(2e9, 0))
				valid(t, o, detect.Controllers(), detect.ControllerSubject, o.Kind)
			}
		}
		all := detect.Detectors{}.WithDefaults()
		if a := read[autoscalingv2.HorizontalPodAutoscaler](raw, c.Autoscaler); a != nil {
			valid(t, a, all.Autoscalers, detect.AutoscalerSubject, "")
		}
		if b := read[policyv1.PodDisruptionBudget](raw, c.Budget); b != nil {
			valid(t, b, all.Budgets, detect.BudgetSubject, "")
		}
	})
}

// read is nil for what is no such object.
func read[In, Out any](raw []byte, convertTo func(*In) (*Out, error)) *Out {
	var in In
	if json.Unmarshal(raw, &in) != nil {
		return nil
	}
	out, err := convertTo(&in)
	if err != nil {
		return nil
	}
	return out
}

// valid looks at an object and holds the events against the schema.
func valid[O any](t *testing.T, cur *O, detectors []detect.Detector[O], subject func(*detect.Input[O]) detect.Subject, kind string) {
	t.Helper()
	in := &detect.Input[O]{Cluster: "c", Cur: cur, Thresholds: detect.DefaultThresholds(), Now: time.Unix(2e9+1e6, 0)}
	if kind != "" {
		in.Workload = detect.Workload{Kind: kind, Name: "a"}
	}
	var findings []detect.Finding
	for _, d := range detectors {
		findings = d.Detect(in, findings)
	}
	var events []*rightsizerv1.Event
	events = track.New(10).Observe(&track.Observation{
		Subject: subject(in), Cluster: in.Cluster, Now: in.Now, Findings: findings,
	}, events)
	for _, e := range events {
		require.NoError(t, protovalidate.Validate(e), e)
		assert.True(t, utf8.ValidString(e.GetMessage()))
	}
}
