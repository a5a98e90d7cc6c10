package watcher

import (
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/convert"
)

const (
	healthOK       = rightsizerv1.HealthState_HEALTH_STATE_OK
	healthStarting = rightsizerv1.HealthState_HEALTH_STATE_STARTING
	healthDegraded = rightsizerv1.HealthState_HEALTH_STATE_DEGRADED
	healthDown     = rightsizerv1.HealthState_HEALTH_STATE_DOWN
)

// silentAfter is how long an open watch may say nothing before that is strange:
// the API server sends a bookmark about once a minute.
const silentAfter = 3 * time.Minute

// maxHealthReason in bytes, by the schema.
const maxHealthReason = 1024

// line is the health of one component.
type line struct {
	state  rightsizerv1.HealthState
	since  time.Time
	reason string
}

// set changes the line; since moves with the state, not with the reason.
func (l *line) set(now time.Time, state rightsizerv1.HealthState, reason string) {
	if l.state != state {
		l.state, l.since = state, now
	}
	l.reason = reason
}

func (l *line) message(component string) *rightsizerv1.ComponentHealth {
	return &rightsizerv1.ComponentHealth{
		Component: component,
		State:     l.state,
		Since:     timestamppb.New(l.since),
		Reason:    convert.Text(l.reason, maxHealthReason),
	}
}

// health is what is known about the connection: the API server as a whole and
// each watch. Its own lock is never held while another is taken.
type health struct {
	mu     sync.Mutex
	now    func() time.Time
	server line
	// wasUp says that the server has answered before.
	wasUp bool
}

func newHealth(now func() time.Time) *health {
	return &health{now: now, server: line{state: healthStarting, since: now(), reason: "not contacted yet"}}
}

// answered notes that the API server did what was asked, or refused it in a way
// that shows it to be there.
func (h *health) answered() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wasUp = true
	h.server.set(h.now(), healthOK, "")
}

// failed notes a failed attempt and says whether the server is to blame.
func (h *health) failed(err error) {
	if !unavailable(err) {
		h.answered()
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	state := healthDown
	if !h.wasUp {
		state = healthStarting
	}
	h.server.set(h.now(), state, explain(err))
}

func (h *health) serverLine() line {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.server
}

// unavailable tells a server that is not there, or not ready, from one that
// refuses.
func unavailable(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return true // No answer at all.
	}
	code := status.Status().Code
	return code >= 500 || code == 429 || code == 0
}

// explain says why in the server's own words where it has any.
func explain(err error) string {
	if err == nil {
		return ""
	}
	if errors.Is(err, errNoIdentity) {
		return err.Error()
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		s := status.Status()
		if s.Message != "" {
			return s.Message
		}
		return fmt.Sprintf("HTTP %d %s", s.Code, s.Reason)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err.Error()
	}
	return err.Error()
}

// watchHealth follows one watch through its life:
//
//	STARTING → OK ⇄ DOWN (no connection), DEGRADED (reading the list again)
type watchHealth struct {
	*health
	resource *resource

	line   line
	synced bool
	// activity is when the server last said anything on this watch, its opening
	// included; heard is when it last sent something, up to which everything is
	// known.
	activity time.Time
	heard    time.Time
	// broke is when the watch was found broken, zero while it is whole; cause is
	// what broke it. Nothing is known since lost, which is heard at that time:
	// the connection may have been dead for a while.
	broke time.Time
	lost  time.Time
	cause string
	// openedAt and before are the latest opening and what broke was then: a
	// server that takes connections only to drop them is not there.
	openedAt time.Time
	before   time.Time
	// open says that a watch is connected.
	open bool
	// forbidden says that the server refuses, so that waiting is no use.
	forbidden bool
	// absent says that the cluster has no such kind.
	absent bool
	// settled is called after the first complete list and after a refusal.
	settled func()
}

func newWatchHealth(h *health, r *resource) *watchHealth {
	return &watchHealth{
		health: h, resource: r,
		line: line{state: healthStarting, since: h.now(), reason: "waiting for the API server"},
	}
}

// opened notes a connected watch. again says that it repeats the list, so that
// it is not whole before the list is complete.
func (w *watchHealth) opened(again bool) {
	w.answered()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open, w.forbidden, w.absent = true, false, false
	w.activity = w.now()
	w.openedAt, w.before = w.activity, w.broke
	switch {
	case !w.synced:
		w.line.set(w.now(), healthStarting, "reading the list")
	case again:
		w.line.set(w.now(), healthDegraded, "reading the list again: "+w.cause)
	default:
		w.broke, w.lost, w.cause = time.Time{}, time.Time{}, ""
		w.line.set(w.now(), healthOK, "")
	}
}

// refused notes a failed attempt to connect or to list.
func (w *watchHealth) refused(err error) {
	w.failed(err)
	w.mu.Lock()
	w.forbidden = !unavailable(err) && !forReflector(err)
	w.absent = apierrors.IsNotFound(err)
	w.broken(explain(err))
	switch {
	case forReflector(err) && w.synced:
		w.line.set(w.now(), healthDegraded, explain(err))
	case w.forbidden && w.resource.optional:
		w.line.set(w.now(), healthDegraded, explain(err))
	case w.synced || w.forbidden:
		w.line.set(w.now(), healthDown, explain(err))
	default:
		w.line.set(w.now(), healthStarting, explain(err))
	}
	forbidden := w.forbidden
	w.mu.Unlock()
	if forbidden && w.settled != nil {
		w.settled()
	}
}

// ended notes the end of an open watch; err is nil where the server closed it in
// order, which it does every few minutes.
func (w *watchHealth) ended(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = false
	if err == nil {
		return
	}
	w.broken(explain(err))
	if w.synced {
		w.line.set(w.now(), healthDegraded, explain(err))
	}
}

// broken remembers where an episode began; under the lock.
func (w *watchHealth) broken(cause string) {
	w.open = false
	w.cause = cause
	if w.broke.IsZero() {
		w.broke, w.lost = w.now(), w.heard
		if !w.before.IsZero() && w.broke.Sub(w.openedAt) < shortWatch && w.heard.Before(w.openedAt) {
			w.broke = w.before
		}
	}
}

// active notes a message of the watch.
func (w *watchHealth) active() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.activity = w.now()
	w.heard = w.activity
}

// interrupted says of a whole list that has come since when and why nothing was
// known; again is false for the first one.
func (w *watchHealth) interrupted() (since time.Time, cause string, again bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.interruption()
}

func (w *watchHealth) interruption() (since time.Time, cause string, again bool) {
	since, cause, again = w.lost, w.cause, w.synced
	if since.IsZero() {
		since = w.heard
	}
	return since, cause, again
}

// complete notes that a whole list is taken in, and returns what interrupted
// does.
func (w *watchHealth) complete() (since time.Time, cause string, again bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	since, cause, again = w.interruption()
	w.synced, w.open, w.forbidden, w.absent = true, true, false, false
	w.broke, w.lost, w.cause = time.Time{}, time.Time{}, ""
	w.activity = w.now()
	w.heard = w.activity
	w.line.set(w.now(), healthOK, "")
	return since, cause, again
}

// snapshot is the line as of now: an open watch that is silent for too long is
// not trusted.
func (w *watchHealth) snapshot() line {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.line
	if quiet := w.now().Sub(w.activity); out.state == healthOK && quiet > silentAfter {
		out.state, out.since = healthDegraded, w.activity
		out.reason = fmt.Sprintf("the server has said nothing for %s", quiet.Round(time.Second))
	}
	return out
}

// missing says that the cluster has no such kind, which is no shortcoming where
// that is optional.
func (w *watchHealth) missing() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.absent && w.resource.optional
}

// status is what Ready and the others need.
func (w *watchHealth) status() (synced, forbidden bool, broke, activity time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.synced, w.forbidden, w.broke, w.activity
}

// refuse notes a failure that keeps the watcher from starting, whoever is to
// blame.
func (h *health) refuse(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.server.set(h.now(), healthStarting, explain(err))
}
