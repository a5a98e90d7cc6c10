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
	maxDenied   = 256         // callers and actions told apart at a time
	denialEvery = time.Minute // between two records of one caller and action
	denialBurst = 30          // records at once …
	denialRate  = time.Minute // … and one more after each of these
	denialTick  = time.Second
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

type denied struct {
	groups   []string
	count    int64
	recorded time.Time // zero: not yet
}

// Denials turns refusals into records, within bounds: the first of a caller and
// action within a second, repetitions summed once a minute, 30 records at once and
// then one a minute in all. What there is no room for is counted in a record of its
// own, so that no refusal goes unsaid and none can push out the rest of the chain.
type Denials struct {
	log Appender

	mu       sync.Mutex
	open     map[denialKey]*denied
	overflow int64
	logger   *slog.Logger
	tokens   int
	refilled time.Time
}

// Appender keeps records; a Log is one.
type Appender interface {
	Append(ctx context.Context, record *rightsizerv1.AuditRecord) (*rightsizerv1.AuditHead, error)
}

// NewDenials makes Denials that append to log.
func NewDenials(log Appender, logger *slog.Logger) *Denials {
	return &Denials{log: log, logger: logger, open: map[denialKey]*denied{}, tokens: denialBurst, refilled: time.Now()}
}

// Note takes down a refusal. It does not wait.
func (d *Denials) Note(n Denial) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := denialKey{plain.Line(n.User, maxName), plain.Line(n.What, maxValue), plain.Line(n.Namespace, 63)}
	at := d.open[key]
	if at == nil {
		if len(d.open) >= maxDenied {
			d.overflow++
			return
		}
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
	for key, at := range d.open {
		waited := at.recorded.IsZero() || now.Sub(at.recorded) >= denialEvery
		switch {
		case !waited:
		case at.count == 0:
			delete(d.open, key) // quiet for long enough
		case d.tokens > 0:
			d.tokens--
			records = append(records, denialRecord(key, at))
			at.count, at.recorded = 0, now
		}
	}
	if d.overflow > 0 && d.tokens > 0 {
		d.tokens--
		records = append(records, &rightsizerv1.AuditRecord{
			Actor: "rightsizer", Action: actionDenied, Reason: fmt.Sprintf("%d more calls of other callers were refused, too many to be told apart", d.overflow),
			Evidence: map[string]string{"calls": strconv.FormatInt(d.overflow, 10)},
		})
		d.overflow = 0
	}
	return records
}

func denialRecord(key denialKey, at *denied) *rightsizerv1.AuditRecord {
	actor := key.user
	if actor == "" {
		actor = "somebody without a name"
	}
	return &rightsizerv1.AuditRecord{
		Actor: actor, ActorGroups: at.groups, Action: actionDenied, Namespace: key.namespace,
		Reason: "may not " + key.what, Evidence: map[string]string{"calls": strconv.FormatInt(at.count, 10)},
	}
}
