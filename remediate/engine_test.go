package remediate_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/announce"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/kubetest"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

const mi = 1 << 20

// world is a cluster with a policy and an audit chain, in which operators live and
// die.
type world struct {
	t    *testing.T
	api  *kubetest.API
	spec v1alpha1.PolicySpec
	wide bool // the policy is one of the cluster

	mu        sync.Mutex
	problems  []*rightsizerv1.Event
	later     time.Duration // by which the world's clock goes ahead
	audit     []*rightsizerv1.AuditRecord
	auditErr  error
	reads     int // of the audit
	frozen    string
	measured  bool // whether usage is
	samples   int64
	used      int64  // bytes of memory
	throttled *int32 // per cent of the periods
	notices   []announce.Notice
	calls     []made // of webhooks
	answers   func(purpose action.Purpose, hook string) (action.Answer, error)
	violated  []string // promises that were broken

	tracing trace.TracerProvider // of the operators that start from now on
}

// newWorld has a Deployment web of some replicas in namespace shop, whose first pod
// was OOM-killed, and the Auto policy.
func newWorld(t *testing.T, replicas int32, nodes ...corev1.Node) *world {
	return newWorldOf(t, replicas, "32Mi", nodes...)
}

// newWorldOf is newWorld with another memory request.
func newWorldOf(t *testing.T, replicas int32, request string, nodes ...corev1.Node) *world {
	w := &world{t: t, api: kubetest.New()}
	w.api.PutNodes(nodes...)
	in := v1alpha1.PolicySpec{Mode: v1alpha1.ModeAuto}
	in.Verification.Window = v1alpha1.Of(10 * time.Second)
	in.SetDefaults()
	w.spec = in
	labels := map[string]string{"app": "web"}
	w.api.PutDeployment(&appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "app", Resources: corev1.ResourceRequirements{Requests: memoryOf(request), Limits: memoryOf("64Mi")},
				}}},
			},
		},
	})
	w.problems = []*rightsizerv1.Event{w.kill("web-0", 64)}
	w.api.Hook(w.watch)
	return w
}

func memoryOf(size string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(size)}
}

// kill is the event of an OOM kill at a limit in MiB.
func (*world) kill(pod string, limit int64) *rightsizerv1.Event {
	at := timestamppb.Now()
	id := "oom-" + pod + "-" + at.AsTime().Format(time.RFC3339Nano)
	return &rightsizerv1.Event{
		Id: id[:min(len(id), 32)], ProblemId: id[:min(len(id), 32)], Type: "pod.oom_killed", Namespace: "shop", Container: "app",
		Object: &rightsizerv1.ObjectRef{Kind: "Pod", Name: pod, Uid: "uid-" + pod}, Workload: &rightsizerv1.WorkloadRef{Kind: "Deployment", Name: "web"},
		OccurredTime: at, ObservedTime: at, Details: &rightsizerv1.Event_OomKilled{OomKilled: &rightsizerv1.OomKilledDetails{MemoryLimitBytes: limit * mi}},
	}
}

// watch holds what every effect must have before it: its intent in the status, with
// the version that it insists on, and its audit record.
func (w *world) watch(write kubetest.Write, made []*v1alpha1.Remediation) {
	if strings.HasPrefix(write.Resource, "remediations") {
		return
	}
	onPod := strings.HasPrefix(write.Resource, "pods/")
	intended := slices.ContainsFunc(made, func(r *v1alpha1.Remediation) bool {
		return write.Manager == plan.Manager(r.Name) && slices.ContainsFunc(r.Status.Targets, func(t v1alpha1.Target) bool {
			return t.ResourceVersion != "" && (t.Pod == write.Name || !onPod && t.Pod == "" && t.UID == "uid-"+write.Name)
		})
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if !intended {
		w.violated = append(w.violated, "an effect without its intent: "+write.Name)
	}
	if !slices.ContainsFunc(w.audit, func(r *rightsizerv1.AuditRecord) bool {
		return write.Manager == plan.Manager(r.GetRemediation()) && r.GetAction() == "remediation.executing"
	}) {
		w.violated = append(w.violated, "an effect without its audit record: "+write.Name)
	}
}

// The world's policies.
type policies struct{ w *world }

func (p policies) Set() (*policy.Set, error) {
	in := &v1alpha1.RightSizerPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "default", Generation: 1, UID: "uid-policy"}}
	p.w.mu.Lock()
	in.Spec.PolicySpec = *p.w.spec.DeepCopy()
	p.w.mu.Unlock()
	if p.w.wide {
		all := &v1alpha1.ClusterRightSizerPolicy{ObjectMeta: metav1.ObjectMeta{Name: "all", Generation: 1, UID: "uid-all"}}
		all.Spec.PolicySpec = in.Spec.PolicySpec
		return policy.NewSet("rightsizer", []*policy.Policy{policy.FromCluster(all)}), nil
	}
	return policy.NewSet("rightsizer", []*policy.Policy{policy.FromNamespaced(in)}), nil
}

func (p policies) Frozen() string {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return p.w.frozen
}

func (policies) NamespaceLabels(string) map[string]string { return nil }

func (policies) ApprovalsBound(context.Context, string) (time.Time, error) {
	return time.Time{}, policy.ErrUnbound
}

// operator is one process of the operator.
type operator struct {
	w      *world
	client *kubetest.Client
	engine *remediate.Engine
	events chan *rightsizerv1.Event
	found  map[string]bool // the problems, by their ids, that it found at its start
	ctx    context.Context // the process's life
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// Append implements remediate.Auditor: a dead process records nothing.
func (o *operator) Append(_ context.Context, r *rightsizerv1.AuditRecord) (*rightsizerv1.AuditHead, error) {
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	if err := errors.Join(o.ctx.Err(), o.w.auditErr); err != nil {
		return nil, err
	}
	r.Sequence, r.Time = int64(len(o.w.audit))+1, timestamppb.Now()
	o.w.audit = append(o.w.audit, r)
	return &rightsizerv1.AuditHead{}, nil
}

// Records implements remediate.Auditor.
func (o *operator) Records(_ context.Context, _ int64, visit func(*rightsizerv1.AuditRecord) bool) error {
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	o.w.reads++
	for _, r := range slices.Backward(o.w.audit) {
		if !visit(r) {
			break
		}
	}
	return nil
}

// Next implements remediate.Source.
func (o *operator) Next(ctx context.Context) ([]*rightsizerv1.Event, bool, error) {
	select {
	case <-ctx.Done():
		return nil, false, ctx.Err()
	case ev := <-o.events:
		return []*rightsizerv1.Event{ev}, false, nil
	}
}

// Say implements remediate.Announcer.
func (o *operator) Say(n announce.Notice) error {
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	o.w.notices = append(o.w.notices, n)
	return nil
}

// made is a call of a webhook that came through, of a decision.
type made struct {
	purpose            action.Purpose
	hook, id, workload string
}

// Call implements action.Webhooks.
func (o *operator) Call(_ context.Context, purpose action.Purpose, policyNamespace string, hook *v1alpha1.Webhook, r *rightsizerv1.Remediation) (action.Answer, error) {
	assert.Equal(o.w.t, "shop", policyNamespace)
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	if err := o.ctx.Err(); err != nil {
		return action.Answer{}, err
	}
	var answer action.Answer
	if o.w.answers != nil {
		var err error
		if answer, err = o.w.answers(purpose, hook.Name); err != nil {
			return answer, err
		}
	}
	o.w.calls = append(o.w.calls, made{purpose, hook.Name, r.GetName(), r.GetWorkload().GetName()})
	return answer, nil
}

// called lists the calls of webhooks that came through.
func (w *world) called() []made {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.calls)
}

// Usage implements remediate.Usage.
func (o *operator) Usage(_, _, _, _ string) (remediate.Measured, bool) {
	return remediate.Measured{Usage: guard.Usage{Time: time.Now(), MemorySamples: o.w.samples, MemoryBytes: o.w.used}, ThrottledPercent: o.w.throttled, ThrottledTime: time.Now()}, o.w.measured
}

func (o *operator) ClusterID() string { return "cluster" }
func (o *operator) Synced() bool      { return true }

// Problems are those of pods that are still there. What a container had as it was
// killed nobody knows any more of a kill that was found at start: it says what it has.
func (o *operator) Problems() (out []*rightsizerv1.Event) {
	o.w.mu.Lock()
	all := o.w.problems
	o.w.mu.Unlock()
	for _, ev := range all {
		if ev.GetObject().GetKind() != "Pod" {
			out = append(out, ev)
			continue
		}
		pod := o.w.api.Pod("shop", ev.GetObject().GetName())
		if pod == nil {
			continue
		}
		if o.found[ev.GetId()] {
			ev = proto.CloneOf(ev)
			ev.FoundAtStart = true
			if kill := ev.GetOomKilled(); kill != nil {
				kill.MemoryLimitBytes = pod.Spec.Containers[0].Resources.Limits.Memory().Value()
			}
		}
		out = append(out, ev)
	}
	return out
}

// now is the world's time.
func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.later)
}

// start starts an operator that leads, from its first request on; cut, where it is
// not nil, says how it ends.
func (w *world) start(identity string, cut func(*kubetest.Client, func())) *operator {
	w.t.Helper()
	o := &operator{w: w, client: w.api.Client(), events: make(chan *rightsizerv1.Event, 8), found: map[string]bool{}}
	w.mu.Lock()
	for _, ev := range w.problems {
		o.found[ev.GetId()] = true
	}
	w.mu.Unlock()
	o.ctx, o.cancel = context.WithCancel(context.Background())
	client, err := kube.New(o.client.Config())
	require.NoError(w.t, err)
	workload := action.OfWorkload{Client: client}
	actions, err := action.NewSet(
		&action.ResizeInPlace{Client: client, Minor: func(context.Context) (int, error) { return 37, nil }},
		&action.ResizeTemplate{OfWorkload: workload}, &action.RestartPod{Client: client}, &action.RolloutRestart{OfWorkload: workload}, PauseRollout{workload},
		&action.Scale{Client: client},
		&action.Export{Client: client, Hooks: o}, &action.Webhook{Client: client, Hooks: o},
	)
	require.NoError(w.t, err)
	o.engine, err = remediate.New(remediate.Options{
		Client: client, Cluster: o, Policies: policies{w}, Audit: o, Actions: actions, Source: o,
		Usage: o, Webhooks: o, Announcer: o, Publish: func(*rightsizerv1.Event) {}, Identity: identity, Now: w.now, Logger: slog.New(slog.DiscardHandler), Workers: 2,
		Tracing: w.tracing,
	})
	require.NoError(w.t, err)
	if cut != nil {
		cut(o.client, o.cancel)
	}
	o.done.Go(func() { _ = o.engine.Run(o.ctx) })
	o.done.Go(func() { _ = o.engine.Lead(o.ctx) })
	return o
}

func (o *operator) stop() {
	o.cancel()
	o.done.Wait()
}

// until waits, on fake time, until something holds; false after an hour.
func until(holds func() bool) bool {
	for range 36_000 {
		if holds() {
			return true
		}
		time.Sleep(100 * time.Millisecond)
	}
	return false
}

// ended says whether there is a Remediation, and all of them have ended.
func (w *world) ended() bool {
	made := w.api.Remediations("shop")
	return len(made) > 0 && !slices.ContainsFunc(made, func(r *v1alpha1.Remediation) bool { return plan.Open(r.Status.State) })
}

// limits are the memory limits of the pods in MiB.
func (w *world) limits(pods ...string) (out []int64) {
	for _, name := range pods {
		if pod := w.api.Pod("shop", name); pod != nil {
			out = append(out, pod.Spec.Containers[0].Resources.Limits.Memory().Value()/mi)
		}
	}
	return out
}

// kept holds the promises: one effect for each pod and decision, each after its
// intent and its audit record.
func (w *world) kept() {
	w.t.Helper()
	once := map[string]bool{}
	for _, effect := range w.api.Effects() {
		what := effect.Manager + " on " + effect.Name
		assert.False(w.t, once[what], "a second effect: %s", what)
		once[what] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	assert.Empty(w.t, w.violated)
}
