package remediate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	corev1 "k8s.io/api/core/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// somebody asks for things.
var (
	somebody = remediate.Person{Name: "alice", Via: "kubernetes"}
	another  = remediate.Person{Name: "bob", Via: "kubernetes"}
)

// asked is what somebody wants for the Deployment web.
func asked(kind string, parameters map[string]string) remediate.Wish {
	return remediate.Wish{
		Namespace: "shop", Kind: "Deployment", Name: "web", Reason: "an exercise", ID: "request-1", Hash: "hash-1",
		Action: &rightsizerv1.RemediationAction{Kind: kind, Parameters: parameters},
	}
}

// toLimit asks for a memory limit in MiB.
func toLimit(kind string, limit int64) remediate.Wish {
	wish := asked(kind, nil)
	wish.Container = "app"
	wish.Action.Limits = &rightsizerv1.Resources{MemoryBytes: limit * mi}
	return wish
}

// inPlaceTo asks for it in place, larger in the template.
func inPlaceTo(limit int64) remediate.Wish { return toLimit("resize_in_place", limit) }
func larger(limit int64) remediate.Wish    { return toLimit("resize_template", limit) }

// quiet is a world in which nothing is wrong.
func quiet(t *testing.T, replicas int32) *world {
	w := newWorld(t, replicas)
	w.problems = nil
	return w
}

// ask asks an operator until it has an answer.
func (o *operator) ask(wish remediate.Wish) (made *rightsizerv1.Remediation, err error) {
	ok := until(func() bool {
		made, err = o.engine.Create(context.Background(), somebody, wish)
		return err == nil || o.ctx.Err() != nil
	})
	if !ok || err != nil {
		return nil, err
	}
	return made, nil
}

// only is the one Remediation that there is.
func (w *world) only() *v1alpha1.Remediation {
	w.t.Helper()
	made := w.api.Remediations("shop")
	require.Len(w.t, made, 1)
	return made[0]
}

// settled waits until all has ended, and is the one Remediation then.
func (w *world) settled() *v1alpha1.Remediation {
	w.t.Helper()
	require.True(w.t, until(w.ended), "%+v", w.api.Remediations("shop"))
	return w.only()
}

// in waits until the one Remediation is in a state.
func (w *world) in(state v1alpha1.RemediationState) {
	w.t.Helper()
	require.True(w.t, until(func() bool {
		made := w.api.Remediations("shop")
		return len(made) == 1 && made[0].Status.State == state
	}), "%s: %+v", state, w.api.Remediations("shop"))
}

// trail are the actions in the audit, each once, in order.
func (w *world) trail() (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.audit {
		if n := len(out); n == 0 || out[n-1] != r.GetAction() {
			out = append(out, r.GetAction())
		}
	}
	return out
}

const aWhile = time.Minute

func isNotKnown(err error) bool { return errors.Is(err, remediate.ErrNotKnown) }

// disown makes a pod somebody else's, though its labels are chosen by web.
func (w *world) disown(pod string) {
	w.api.ChangePod("shop", pod, func(p *corev1.Pod) *corev1.Pod {
		p.OwnerReferences[0].UID, p.OwnerReferences[0].Name = "uid-other", "other"
		return p
	})
}

func (w *world) annotate(pod, key string) {
	w.api.ChangePod("shop", pod, func(p *corev1.Pod) *corev1.Pod {
		p.Annotations = map[string]string{key: "yes"}
		return p
	})
}

func (w *world) phase(pod string, phase corev1.PodPhase) {
	w.api.ChangePod("shop", pod, func(p *corev1.Pod) *corev1.Pod {
		p.Status.Phase = phase
		return p
	})
}

// story is what became of everything, for a person who reads a failure.
func (w *world) story() string {
	var out strings.Builder
	for _, r := range w.api.Remediations("shop") {
		fmt.Fprintf(&out, "\n%s %s episode %s %s: %s", r.CreationTimestamp.UTC().Format(time.TimeOnly), r.Spec.Action.Kind, r.Spec.Episode, r.Status.State, r.Status.Message)
		for i := range r.Status.Targets {
			fmt.Fprintf(&out, "\n    %s %s %s", r.Status.Targets[i].Pod, r.Status.Targets[i].Result, r.Status.Targets[i].Message)
		}
	}
	return out.String()
}
