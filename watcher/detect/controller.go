package detect

import (
	"strings"
	"time"

	"github.com/rightsizer/rightsizer/watcher/object"
)

// ControllerInput is a controller at one moment.
type ControllerInput = Input[object.Controller]

// ControllerSubject describes a controller: a workload of its own, or a part of
// the one at the top of its owners.
func ControllerSubject(in *ControllerInput) Subject {
	c := in.Cur
	s := Subject{
		Kind: c.Kind, Key: c.Key, UID: c.UID,
		Workload: object.WorkloadKey{Namespace: c.Namespace, Kind: in.Workload.Kind, Name: in.Workload.Name},
	}
	if c.Rollout != nil {
		s.Episode = c.Rollout.Revision
	}
	return s
}

// AdvanceController completes cur with what is remembered from prev, nil where
// the controller is seen for the first time: whether a rollout goes on, and
// since when there are too few pods. atStart says that it was there before the
// watcher, unavailableAfter is Thresholds.UnavailableAfter. It writes to cur, which
// nobody else may have seen yet.
func AdvanceController(prev, cur *object.Controller, atStart bool, unavailableAfter time.Duration, now time.Time) {
	r := cur.Rollout
	if r == nil {
		return
	}
	var before *object.Rollout
	if prev != nil && prev.UID == cur.UID {
		before = prev.Rollout
	}
	switch {
	case r.Revision == "":
		// Its controller has not looked at it yet, so that nothing began.
	case before != nil && before.Revision == r.Revision:
		r.Rolling, r.Began = before.Rolling && !cur.Complete(), before.Began
	case before == nil && atStart:
		r.Rolling = r.Unfinished && !cur.Complete()
	default:
		r.Started, r.Rolling, r.Began = true, !cur.Complete(), now.Unix()
	}
	if r.Available >= cur.Desired {
		return
	}
	r.ShortSince = shortSince(r, now.Unix())
	r.EmptiedAt = r.ShortSince
	if before == nil || before.ShortSince == 0 {
		return
	}
	told := now.Unix() >= before.ShortSince+inSeconds(unavailableAfter)
	if told || unavailableSince(r) == 0 { // Until it is told, the condition may come.
		r.ShortSince = before.ShortSince
	}
	r.EmptiedAt = max(r.ShortSince, before.EmptiedAt)
	if (before.Available == 0) != (r.Available == 0) {
		r.EmptiedAt = max(r.EmptiedAt+1, written(r, now.Unix()))
	}
}

// shortSince is the best that is known of when a workload fell short: since its
// condition says so, else since its status was written that says so, else now.
func shortSince(r *object.Rollout, now int64) int64 {
	if at := unavailableSince(r); at > 0 {
		return at
	}
	return written(r, now)
}

// written is when the status was written, or the object as a whole where its spec
// alone changed; now where it does not say.
func written(r *object.Rollout, now int64) int64 {
	at := r.StatusTime
	if r.Observed < r.Generation {
		at = r.WriteTime
	}
	if at == 0 {
		return now
	}
	return min(at, now)
}

// unavailableSince is by the condition; 0 where it does not say so.
func unavailableSince(r *object.Rollout) int64 {
	if c := r.Condition("Available"); c != nil && c.Status == object.ConditionFalse {
		return c.Since
	}
	return 0
}

// eventKind is the first part of the types of a kind: deployment.
func eventKind(c *object.Controller) string {
	return strings.ToLower(c.Kind)
}

// rollers are the kinds that roll out templates, as the types name them.
var rollers = []string{"deployment", "statefulset", "daemonset"}
