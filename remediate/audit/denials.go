package audit

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/plain"
)

// Bounds of what refused callers may write into the chain: whoever is refused
// chooses how often.
const (
	maxDenied   = 256         // callers and actions told apart at a time …
	maxOfCaller = 8           // … and actions of one caller
	denialEvery = time.Minute // between two records of one caller and action
	denialBurst = 30          // records at once …
	denialRate  = time.Minute // … and one more after each of these
	denialTick  = time.Second
	// overflowEvery is how often those are told of whom there was no room for, whoever
	// waits.
	overflowEvery = 10 * time.Minute
)

// actionDenied is the action of a record of a refusal.
const actionDenied = "access.denied"

// Denial is a call that was refused for a right its caller lacks.
type Denial struct {
	User   string
	Groups []string
	// What was asked for: `create remediations`, in which namespace, empty for all.
	What, Namespace string
}

type denialKey struct{ user, what, namespace string }

// others is what a caller was refused beyond maxOfCaller.
const others = ""

type denied struct {
	groups   []string
	count    int64
	recorded time.Time // zero: not yet
}

// refused is a caller who was refused.
type refused struct{ keys, records int }

// Denials turns refusals into records, within bounds: the first of a caller and
// action within a second, repetitions summed once a minute, 30 records at once and
// then one a minute in all. What there is no room for is counted in a record of its
// own, so that no refusal goes unsaid and none can push out the rest of the chain. Of one
// caller a few actions are told apart, and who has the fewest records is written first:
// nobody hides another behind refusals of his own.
type Denials struct {
	log Appender

	mu       sync.Mutex
	open     map[denialKey]*denied
	callers  map[string]*refused
	overflow int64
	logger   *slog.Logger
	tokens   int
	refilled time.Time
	told     time.Time // of the overflow
}

// Appender keeps records; a Log is one.
type Appender interface {
	Append(ctx context.Context, record *rightsizerv1.AuditRecord) (*rightsizerv1.AuditHead, error)
}

// NewDenials makes Denials that append to log.
func NewDenials(log Appender, logger *slog.Logger) *Denials {
	return &Denials{log: log, logger: logger, open: map[denialKey]*denied{}, callers: map[string]*refused{}, tokens: denialBurst, refilled: time.Now()}
}

// Note takes down a refusal. It does not wait.
func (d *Denials) Note(n Denial) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := denialKey{plain.Line(n.User, maxName), plain.Line(n.What, maxValue), plain.Line(n.Namespace, 63)}
	caller := d.callers[key.user]
	if d.open[key] == nil && caller != nil && caller.keys >= maxOfCaller {
		key = denialKey{user: key.user, what: others}
	}
	if d.open[key] == nil && len(d.open) >= maxDenied && !d.makeRoom() {
		d.overflow++
		return
	}
	at := d.open[key] // which room may have been made for
	if at == nil {
		if caller == nil {
			caller = &refused{}
			d.callers[key.user] = caller
		}
		caller.keys++
		at = &denied{groups: slices.Clone(n.Groups[:min(len(n.Groups), maxGroups+1)])}
		d.open[key] = at
	}
	at.count++
}

// Run writes what is due until ctx ends. What is not written then is logged.
func (d *Denials) Run(ctx context.Context) error {
	ticker := time.NewTicker(denialTick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			if n := d.unwritten(); n > 0 {
				d.logger.WarnContext(ctx, "refused calls are not in the audit chain", slog.Int64("calls", n))
			}
			return nil
		case now := <-ticker.C:
			for _, record := range d.due(now) {
				// An audit that cannot be written says so by itself; the call was
				// refused whether or not it is recorded.
				if _, err := d.log.Append(ctx, record); err != nil {
					d.logger.WarnContext(ctx, "a refused call is not in the audit chain", slog.String("user", record.GetActor()),
						slog.String("what", record.GetReason()), slog.Any("error", err))
				}
			}
		}
	}
}

func (d *Denials) unwritten() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.overflow
	for _, at := range d.open {
		n += at.count
	}
	return n
}

// due takes the records to write now.
func (d *Denials) due(now time.Time) []*rightsizerv1.AuditRecord {
	d.mu.Lock()
	defer d.mu.Unlock()
	for now.Sub(d.refilled) >= denialRate {
		d.refilled = d.refilled.Add(denialRate)
		d.tokens = min(d.tokens+1, denialBurst)
	}
	var records []*rightsizerv1.AuditRecord
	waiting := d.waiting(now)
	if d.overflow > 0 && d.tokens > 0 && now.Sub(d.told) >= overflowEvery {
		d.tokens--
		d.told = now
		records = append(records, &rightsizerv1.AuditRecord{
			Actor: "rightsizer", Action: actionDenied, Reason: fmt.Sprintf("%d more calls of other callers were refused, too many to be told apart", d.overflow),
			Evidence: map[string]string{"calls": strconv.FormatInt(d.overflow, 10)},
		})
		d.overflow = 0
	}
	for ; d.tokens > 0 && len(waiting) > 0; d.tokens-- {
		next := 0
		for i, key := range waiting {
			if d.callers[key.user].records < d.callers[waiting[next].user].records {
				next = i
			}
		}
		key := waiting[next]
		waiting = slices.Delete(waiting, next, next+1)
		at := d.open[key]
		records = append(records, denialRecord(key, at))
		d.callers[key.user].records++
		at.count, at.recorded = 0, now
	}
	return records
}

// makeRoom folds a thing that is told apart into the rest of its caller, of him who has
// the most: a caller more is worth more than what one did besides.
func (d *Denials) makeRoom() bool {
	var from denialKey
	for key := range d.open {
		if key.what != others && (from.what == others || d.callers[key.user].keys > d.callers[from.user].keys) {
			from = key
		}
	}
	if from.what == others || d.callers[from.user].keys < 2 {
		return false
	}
	folded, rest := d.open[from], denialKey{user: from.user, what: others}
	delete(d.open, from)
	if at := d.open[rest]; at != nil {
		at.count += folded.count
		d.callers[from.user].keys--
		return true
	}
	d.open[rest] = folded // in its place: the next one makes room
	return d.makeRoom()
}

// waiting are those whose record is due, and forgets who was quiet for long enough.
func (d *Denials) waiting(now time.Time) (due []denialKey) {
	for key, at := range d.open {
		switch {
		case !at.recorded.IsZero() && now.Sub(at.recorded) < denialEvery:
		case at.count > 0:
			due = append(due, key)
		default:
			delete(d.open, key)
			if caller := d.callers[key.user]; caller.keys > 1 {
				caller.keys--
			} else {
				delete(d.callers, key.user)
			}
		}
	}
	return due
}

func denialRecord(key denialKey, at *denied) *rightsizerv1.AuditRecord {
	actor := key.user
	if actor == "" {
		actor = "somebody without a name"
	}
	reason := "may not " + key.what
	if key.what == others {
		reason = fmt.Sprintf("was refused in %d more calls, too many to be told apart", at.count)
	}
	return &rightsizerv1.AuditRecord{
		Actor: actor, ActorGroups: at.groups, Action: actionDenied, Namespace: key.namespace,
		Reason: reason, Evidence: map[string]string{"calls": strconv.FormatInt(at.count, 10)},
	}
}
