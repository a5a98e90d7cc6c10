package remediate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// maxTold is how many Kubernetes Events wait to be made.
const maxTold = 256

// teller tells what happens: as events on the bus, which every replica publishes
// with the same ids, and as Kubernetes Events, which the leader makes.
type teller struct {
	e     *Engine
	queue chan *corev1.Event
}

func newTeller(e *Engine) *teller { return &teller{e: e, queue: make(chan *corev1.Event, maxTold)} }

// run makes Kubernetes Events until ctx ends.
func (t *teller) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case ev := <-t.queue:
			if err := t.e.client.TellEvent(ctx, ev); err != nil && ctx.Err() == nil {
				t.e.metrics.dropped.WithLabelValues("kubernetes_event").Inc()
				t.e.logger.DebugContext(ctx, "a Kubernetes Event was not made", slog.Any("error", err))
			}
		}
	}
}

// changed tells the transitions after the first told. At start the last one of what
// is open is told as found.
func (t *teller) changed(r *v1alpha1.Remediation, told int, atStart bool) {
	steps := r.Status.Transitions
	if atStart {
		if n := len(steps); n > 0 && plan.Open(r.Status.State) {
			t.publish(r, &steps[n-1], n, true)
		}
		return
	}
	for i := min(told, len(steps)); i < len(steps); i++ {
		t.publish(r, &steps[i], i+1, false)
		if t.e.Leading() {
			t.kubernetes(r, &steps[i])
		}
		t.e.metrics.transitions.WithLabelValues(string(r.Spec.Action.Kind), string(steps[i].To)).Inc()
	}
}

// eventType is the type of the event of a state: remediation.pending_approval.
func eventType(s v1alpha1.RemediationState) string {
	name := states[s].String()
	return "remediation." + strings.ToLower(short(name, "REMEDIATION_STATE_"))
}

func (t *teller) publish(r *v1alpha1.Remediation, step *v1alpha1.Transition, ordinal int, found bool) {
	phase := rightsizerv1.Phase_PHASE_UPDATED
	switch {
	case !plan.Open(step.To):
		phase = rightsizerv1.Phase_PHASE_RESOLVED
	case step.From == "":
		phase = rightsizerv1.Phase_PHASE_OPENED
	}
	problem := hash("remediation", t.e.opts.Cluster.ClusterID(), string(r.UID))
	ev := &rightsizerv1.Event{
		Id: hash(problem, phase.String(), strconv.Itoa(ordinal)), ProblemId: problem, Phase: phase, FoundAtStart: found,
		Type: eventType(step.To), Severity: severityOf(step.To),
		OccurredTime: timestamppb.New(step.Time.Time), ObservedTime: timestamppb.New(t.e.now()),
		Cluster: t.e.opts.Cluster.ClusterID(), Namespace: r.Namespace,
		Object:    &rightsizerv1.ObjectRef{Kind: v1alpha1.KindRemediation, Name: r.Name, Uid: string(r.UID)},
		Workload:  &rightsizerv1.WorkloadRef{Kind: r.Spec.Workload.Kind, Name: string(r.Spec.Workload.Name)},
		Container: r.Spec.Container, Reason: string(step.To),
		Message:       plan.Cut(sentence(r, step), 1024),
		CorrelationId: hash("correlation", r.Spec.Workload.UID),
		Tags:          map[string]string{"action": string(r.Spec.Action.Kind), "remediation": r.Name},
		Details:       &rightsizerv1.Event_Remediation{Remediation: details(r, step)},
	}
	t.e.opts.Publish(ev)
}

func details(r *v1alpha1.Remediation, step *v1alpha1.Transition) *rightsizerv1.RemediationDetails {
	d := &rightsizerv1.RemediationDetails{
		Name: r.Name, Action: string(r.Spec.Action.Kind), State: short(states[step.To].String(), "REMEDIATION_STATE_"),
		Risk: short(risks[r.Spec.Risk].String(), "RISK_LEVEL_"), By: step.By, Policy: policyName(r.Spec.Policy),
	}
	if step.From != "" {
		d.PreviousState = short(states[step.From].String(), "REMEDIATION_STATE_")
	}
	if len(r.Spec.Diff) <= 4096 {
		d.Diff = r.Spec.Diff
	}
	return d
}

func severityOf(s v1alpha1.RemediationState) rightsizerv1.Severity {
	switch s {
	case v1alpha1.StateEscalated, v1alpha1.StateFailed:
		return rightsizerv1.Severity_SEVERITY_ERROR
	case v1alpha1.StatePendingApproval, v1alpha1.StateRolledBack, v1alpha1.StateAborted, v1alpha1.StateExpired:
		return rightsizerv1.Severity_SEVERITY_WARNING
	default:
		return rightsizerv1.Severity_SEVERITY_INFO
	}
}

func sentence(r *v1alpha1.Remediation, step *v1alpha1.Transition) string {
	what := string(r.Spec.Action.Kind) + " of " + r.Spec.Workload.Kind + " " + string(r.Spec.Workload.Name)
	if r.Spec.Container != "" {
		what += ", container " + r.Spec.Container
	}
	text := what + ": " + string(step.To)
	if step.Reason != "" {
		text += ": " + string(step.Reason)
	}
	return text
}

// kubernetes makes Events on the workload and on the policy.
func (t *teller) kubernetes(r *v1alpha1.Remediation, step *v1alpha1.Transition) {
	kind := corev1.EventTypeNormal
	if severityOf(step.To) > rightsizerv1.Severity_SEVERITY_INFO {
		kind = corev1.EventTypeWarning
	}
	message := plan.Cut("Remediation "+r.Name+": "+sentence(r, step), 1024)
	w := &r.Spec.Workload
	t.tell(&corev1.ObjectReference{
		APIVersion: w.APIVersion, Kind: w.Kind, Namespace: r.Namespace, Name: string(w.Name), UID: types.UID(w.UID),
	}, r.Namespace, kind, "Remediation"+string(step.To), message, step.Time.Time)
	if p := r.Spec.Policy; p != nil && p.Namespace != "" {
		t.tell(&corev1.ObjectReference{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: p.Kind, Namespace: p.Namespace, Name: string(p.Name), UID: types.UID(p.UID),
		}, r.Namespace, kind, "Remediation"+string(step.To), message, step.Time.Time)
	} else if p != nil {
		t.tell(&corev1.ObjectReference{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: p.Kind, Name: string(p.Name), UID: types.UID(p.UID),
		}, "default", kind, "Remediation"+string(step.To), message, step.Time.Time)
	}
}

func (t *teller) tell(about *corev1.ObjectReference, namespace, kind, reason, message string, at time.Time) {
	now := metav1.NewTime(at)
	ev := &corev1.Event{
		TypeMeta:       metav1.TypeMeta{APIVersion: "v1", Kind: "Event"},
		ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, GenerateName: plan.Cut(about.Name, 200) + "."},
		InvolvedObject: *about, Reason: plan.Cut(reason, 128), Message: message, Type: kind,
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
		Source: corev1.EventSource{Component: "rightsizer"}, ReportingController: "rightsizer.dev/operator", ReportingInstance: plan.Cut(t.e.opts.Identity, 128),
	}
	select {
	case t.queue <- ev:
	default:
		t.e.metrics.dropped.WithLabelValues("kubernetes_event").Inc()
	}
}

// hash identifies by fields, the length in front of each; 32 hexadecimal digits.
func hash(fields ...string) string {
	h := sha256.New()
	for _, f := range fields {
		_, _ = fmt.Fprintf(h, "%016d%s", len(f), f) // a hash never fails
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

// refusal tells that nothing is done about a cause, as a Kubernetes Event.
func (t *teller) refusal(key workloadKey, container, why, text string) {
	t.tell(&corev1.ObjectReference{Kind: key.kind, Namespace: key.namespace, Name: key.name}, key.namespace, corev1.EventTypeWarning,
		"RemediationRefused", plan.Cut(fmt.Sprintf("container %s: nothing is done (%s): %s", container, why, text), 1024), t.e.now())
}
