package remediate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/announce"
	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Announcer writes Kubernetes Events, without waiting for them.
type Announcer interface {
	Say(n announce.Notice) error
}

// teller tells what happens: as events on the bus, which every replica publishes
// with the same ids, and as Kubernetes Events, which the leader makes.
type teller struct{ e *Engine }

func newTeller(e *Engine) *teller { return &teller{e: e} }

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
		if t.e.Leading() && i == len(steps)-1 { // of several at once, a person needs the last
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
	problem := t.problem(r)
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

// problem is the id of the problem that the events of a Remediation tell of.
func (t *teller) problem(r *v1alpha1.Remediation) string {
	return hash("remediation", t.e.opts.Cluster.ClusterID(), string(r.UID))
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

// kubernetes makes Events on the workload and on its namespace's policy. Those on a
// policy of the cluster would be in `default`, where whoever reads Events there would
// be told of all namespaces.
func (t *teller) kubernetes(r *v1alpha1.Remediation, step *v1alpha1.Transition) {
	w := &r.Spec.Workload
	record := announce.Object{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindRemediation, Namespace: r.Namespace, Name: r.Name, UID: string(r.UID)}
	n := announce.Notice{
		Regarding: announce.Object{APIVersion: w.APIVersion, Kind: w.Kind, Namespace: r.Namespace, Name: string(w.Name), UID: w.UID},
		Related:   &record,
		Warning:   severityOf(step.To) > rightsizerv1.Severity_SEVERITY_INFO,
		Reason:    "Remediation" + string(step.To), Action: camel(string(r.Spec.Action.Kind)),
		Note: "Remediation " + r.Name + ": " + sentence(r, step),
	}
	t.say(n)
	if p := r.Spec.Policy; p != nil && p.Namespace != "" {
		n.Regarding = announce.Object{APIVersion: v1alpha1.GroupVersion.String(), Kind: p.Kind, Namespace: p.Namespace, Name: string(p.Name), UID: p.UID}
		t.say(n)
	}
}

func (t *teller) say(n announce.Notice) {
	if t.e.opts.Announcer == nil {
		return
	}
	if err := t.e.opts.Announcer.Say(n); err != nil {
		t.e.logger.Warn("a Kubernetes Event was not made", slog.Any("error", err))
	}
}

// camel is a kind of action as a word: resize_in_place → ResizeInPlace.
func camel(kind string) string {
	var out strings.Builder
	for part := range strings.SplitSeq(kind, "_") {
		if part != "" {
			out.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return out.String()
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
	t.say(announce.Notice{
		Regarding: announce.Object{APIVersion: kube.APIVersion(key.kind), Kind: key.kind, Namespace: key.namespace, Name: key.name}, Warning: true,
		Reason: "RemediationRefused", Action: "Remediate", Note: fmt.Sprintf("container %s: nothing is done (%s): %s", container, why, text),
	})
}
