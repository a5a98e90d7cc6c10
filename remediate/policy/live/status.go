package live

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// statuses writes the conditions of policies back. One write per policy waits at
// a time, the latest. What is written follows from the policy alone, so that any
// number of replicas agree: the first writes, the others see it.
type statuses struct {
	opts Options
	wake chan struct{}

	mu      sync.Mutex
	pending map[key]*write
	failure error
	since   time.Time
}

type write struct {
	key      key
	resource schema.GroupVersionResource
	status   v1alpha1.PolicyStatus
	version  string
	attempts int
}

// maxAttempts bounds the writes of one status; a change of the policy begins anew.
const maxAttempts = 5

func newStatuses(opts Options) *statuses {
	return &statuses{opts: opts, wake: make(chan struct{}, 1), pending: map[key]*write{}}
}

// want asks for a policy's status to be written, where it is not what it should
// be.
func (s *statuses) want(p *policy.Policy, resource schema.GroupVersionResource, reserved string, has *v1alpha1.PolicyStatus, version string) {
	if s.opts.Silent {
		return
	}
	status := desired(p, reserved, has)
	k := key{p.Ref.Kind, p.Ref.Namespace, string(p.Ref.Name)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if same(&status, has) {
		delete(s.pending, k)
		return
	}
	s.pending[k] = &write{key: k, resource: resource, status: status, version: version}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Reasons of the conditions.
const (
	reasonValid      = "Valid"
	reasonInvalid    = "Invalid"
	reasonOutOfReach = "OutOfReach"
	reasonInForce    = "InForce"
	reasonHeld       = "GovernsAsRecommend"
)

// desired is the status that a policy should have.
func desired(p *policy.Policy, reserved string, has *v1alpha1.PolicyStatus) v1alpha1.PolicyStatus {
	out := v1alpha1.PolicyStatus{ObservedGeneration: p.Ref.Generation, Conditions: slices.Clone(has.Conditions)}
	set := func(kind string, status metav1.ConditionStatus, reason, message string) {
		meta.SetStatusCondition(&out.Conditions, metav1.Condition{
			Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: p.Ref.Generation,
		})
	}
	switch {
	case reserved != "":
		set(v1alpha1.ConditionAccepted, metav1.ConditionFalse, reasonOutOfReach, reserved)
		set(v1alpha1.ConditionReady, metav1.ConditionFalse, reasonOutOfReach, "it governs nothing")
	case p.Err != nil:
		set(v1alpha1.ConditionAccepted, metav1.ConditionFalse, reasonInvalid, shorten(p.Err.Error(), 1024))
		set(v1alpha1.ConditionReady, metav1.ConditionFalse, reasonHeld, "what it selects is governed as Recommend until it can be followed")
	default:
		set(v1alpha1.ConditionAccepted, metav1.ConditionTrue, reasonValid, "")
		set(v1alpha1.ConditionReady, metav1.ConditionTrue, reasonInForce, "mode "+string(p.Spec.Mode))
	}
	return out
}

// same says whether two statuses say the same, whenever they began to.
func same(a, b *v1alpha1.PolicyStatus) bool {
	return a.ObservedGeneration == b.ObservedGeneration && slices.EqualFunc(a.Conditions, b.Conditions, func(x, y metav1.Condition) bool {
		x.LastTransitionTime, y.LastTransitionTime = metav1.Time{}, metav1.Time{}
		return x == y
	})
}

func (s *statuses) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		for w := s.next(); w != nil && ctx.Err() == nil; w = s.next() {
			s.write(ctx, w)
		}
	}
}

// next takes one pending write; nil where there is none.
func (s *statuses) next() *write {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, w := range s.pending {
		delete(s.pending, k)
		return w
	}
	return nil
}

// write writes one status for the version of the policy that it was made from: a
// conflict means that a newer one comes by the watch.
func (s *statuses) write(ctx context.Context, w *write) {
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": w.version},
		"status":   w.status,
	})
	if err != nil {
		s.opts.Logger.Error("status of a policy cannot be written", slog.Any("error", err))
		return
	}
	asking, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	_, err = s.opts.Client.Resource(w.resource).Namespace(w.key.namespace).Patch(asking, w.key.name, types.MergePatchType, body,
		metav1.PatchOptions{FieldManager: "rightsizer-policies"}, "status")
	if err == nil || apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		s.told(nil)
		return
	}
	if ctx.Err() != nil {
		return
	}
	s.told(err)
	if w.attempts++; w.attempts >= maxAttempts || apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
		s.opts.Logger.Warn("status of a policy cannot be written", slog.String("policy", w.key.kind+"/"+w.key.namespace+"/"+w.key.name), slog.Any("error", err))
		return
	}
	s.again(ctx, w)
}

// again puts a write back after a pause, unless a newer one waits.
func (s *statuses) again(ctx context.Context, w *write) {
	timer := time.NewTimer(retryMin << w.attempts)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return
	case <-timer.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, newer := s.pending[w.key]; !newer {
		s.pending[w.key] = w
	}
}

func (s *statuses) told(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if (err == nil) != (s.failure == nil) {
		s.since = time.Now()
	}
	s.failure = err
}

func (s *statuses) failing() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}
