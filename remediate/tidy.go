package remediate

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/policy"
)

const (
	tidyEvery = 10 * time.Minute
	// lookEvery is how soon a pod is found that no event told of.
	lookEvery = time.Minute
)

// tidy deletes what is old enough, and looks again at what no event may tell.
func (e *Engine) tidy(ctx context.Context) {
	clean := time.NewTimer(lookEvery) // soon: there may have been nobody for long
	defer clean.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			for _, key := range e.book.curedWorkloads() {
				e.waiting.look(key)
			}
			for _, key := range e.book.unfinished() {
				e.waiting.add(key)
			}
		case <-clean.C:
			e.retire(ctx)
			clean.Reset(tidyEvery)
		}
	}
}

// retire deletes Remediations that ended long enough ago, whose cause is not visible
// any more, and whose cure new pods do not need.
func (e *Engine) retire(ctx context.Context) {
	visible := map[string]bool{}
	for _, ev := range e.opts.Cluster.Problems() {
		visible[ev.GetProblemId()] = true
	}
	lasting := map[workloadKey]map[objectKey]bool{}
	for _, h := range e.book.old(e.now().Add(-KeepFinished), visible) {
		if h.cure != nil && e.lasts(ctx, h, lasting) {
			continue
		}
		err := e.client.DeleteRemediation(ctx, h.key.namespace, h.key.name, h.uid, strconv.FormatUint(h.version, 10))
		if err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
			e.logger.WarnContext(ctx, "remediation: an old one was not deleted", slog.String("remediation", h.key.namespace+"/"+h.key.name), slog.Any("error", err))
			continue
		}
		e.book.remove(h.key)
	}
}

// lasts says whether a decision has to be kept for its cure. What nobody can say is
// kept. known is what was found before.
func (e *Engine) lasts(ctx context.Context, h *held, known map[workloadKey]map[objectKey]bool) bool {
	needed, ok := known[h.workload]
	if !ok {
		var err error
		if needed, err = e.needed(ctx, h.workload); err != nil {
			return true
		}
		known[h.workload] = needed
	}
	return needed[h.key]
}

// needed lists the decisions of a workload whose cures its new pods still need.
func (e *Engine) needed(ctx context.Context, key workloadKey) (map[objectKey]bool, error) {
	w, err := e.client.Workload(ctx, key.namespace, key.kind, key.name)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	pods, err := action.Pods(ctx, e.client, w)
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for i := range pods {
		there[string(pods[i].UID)] = true
	}
	out := map[objectKey]bool{}
	for _, c := range e.book.cures(key) {
		if c.uid != w.UID || w.Template == nil {
			continue
		}
		if begins, ok := action.SizeOfTemplate(w.Template, c.container); ok && slices.Contains(c.led, begins) {
			e.book.leadTo(c, key, begins, there, out)
		}
	}
	return out, nil
}

// leadTo adds the decisions that a cure rests on: the one that gave it first, with its
// approval, the one that gave it last, the last that led from the size that new pods
// begin with, and those that gave it to pods that are there, since what somebody takes
// back of it is left as it is. Each wave of new pods makes one more; they go with
// their pods.
func (b *book) leadTo(c *cure, key workloadKey, begins policy.Size, there map[string]bool, needed map[objectKey]bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	needed[c.decision], needed[c.first()] = true, true
	var from *cure
	for _, h := range b.items {
		o := h.cure
		if o == nil || h.workload != key || o.uid != c.uid || o.container != c.container {
			continue
		}
		if o.before == begins && (from == nil || o.finished.After(from.finished)) {
			from = o
		}
		if o.size == c.size && slices.ContainsFunc(o.given, func(uid string) bool { return there[uid] }) {
			needed[o.decision] = true
		}
	}
	if from != nil {
		needed[from.decision] = true
	}
}

// old lists what ended before, and has no visible cause.
func (b *book) old(before time.Time, visible map[string]bool) []*held {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []*held
next:
	for _, h := range b.items {
		if h.open || h.past.Finished.IsZero() && h.created.After(before) || h.past.Finished.After(before) {
			continue
		}
		for _, p := range h.problems {
			if visible[p] {
				continue next
			}
		}
		out = append(out, h)
	}
	return out
}

// condition is how the engine's own work goes.
type condition struct {
	mu    sync.Mutex
	err   error
	since time.Time
}

func (c *condition) failed(now time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.since = now
	}
	c.err = err
}

func (c *condition) well(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		c.err, c.since = nil, now
	}
}

// Health is how remediation goes: what it waits for, whether this replica leads,
// and the last failure.
func (e *Engine) Health() *rightsizerv1.ComponentHealth {
	out := &rightsizerv1.ComponentHealth{Component: "remediation", State: rightsizerv1.HealthState_HEALTH_STATE_OK}
	e.state.mu.Lock()
	err, since := e.state.err, e.state.since
	e.state.mu.Unlock()
	if since.IsZero() {
		since = e.sinceStart()
	}
	out.Since = timestamppb.New(since)
	e.book.mu.RLock()
	broken, bookErr := e.book.broken, e.book.err
	e.book.mu.RUnlock()
	frozen := e.opts.Policies.Frozen()
	switch {
	case !broken.IsZero():
		out.State, out.Since = rightsizerv1.HealthState_HEALTH_STATE_DOWN, timestamppb.New(broken)
		out.Reason = "Remediations are not followed: " + text(bookErr)
	case e.known() != nil:
		out.State, out.Reason = rightsizerv1.HealthState_HEALTH_STATE_DEGRADED, text(e.known())
	case frozen != "":
		out.State, out.Reason = rightsizerv1.HealthState_HEALTH_STATE_DEGRADED, "frozen: "+frozen
	case err != nil:
		out.State, out.Reason = rightsizerv1.HealthState_HEALTH_STATE_DEGRADED, text(err)
	case !e.Leading():
		out.Reason = "another replica leads"
	}
	return out
}

func text(err error) string {
	if err == nil {
		return ""
	}
	s := err.Error()
	return s[:min(len(s), shownMessage)]
}

func (e *Engine) sinceStart() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.started.IsZero() {
		return e.now()
	}
	return e.started
}
