package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/timestamppb"
	"k8s.io/client-go/rest"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Bounds of what waits and of what goes together.
const (
	maxQueue      = 256
	maxBatch      = 64
	maxBatchBytes = 256 << 10
	// maxHeads is how many heads of its own a process remembers.
	maxHeads = 64
	// probeEvery is how soon an audit that cannot be written is tried again.
	probeEvery = 5 * time.Second
)

// Parts of an [UnavailableError].
const (
	PartCluster   = "cluster"
	PartDirectory = "directory"
)

// ErrUnavailable is what every [UnavailableError] is.
var ErrUnavailable = errors.New("audit cannot be written")

// UnavailableError says that a record could not be kept, so that nothing may be
// done.
type UnavailableError struct {
	// Part is the copy that failed: PartCluster or PartDirectory.
	Part string
	// Err is why.
	Err error
}

// Error implements error.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("%v to the %s: %v", ErrUnavailable, e.Part, e.Err)
}

// Unwrap implements errors.Unwrap.
func (e *UnavailableError) Unwrap() []error { return []error{ErrUnavailable, e.Err} }

// Options are what a Log needs. Config, Namespace and Logger are required.
type Options struct {
	// Config reaches the cluster.
	Config *rest.Config
	// Namespace is the operator's own; the segments lie there.
	Namespace string
	// Directory holds the second copy; empty is none.
	Directory string
	// Replica is put into records that do not say who wrote them.
	Replica string
	// Logger is told each head, and what goes wrong.
	Logger *slog.Logger
	// Registerer takes rightsizer_audit_*; nil is none.
	Registerer prometheus.Registerer
	// Now is the clock; nil is time.Now.
	Now func() time.Time

	// closeAt and the others are the bounds, which tests make smaller.
	closeAt     int
	maxSegments int64
	fileBytes   int64
	maxFiles    int
	probeEvery  time.Duration
}

var namespacePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func (o *Options) complete() error {
	switch {
	case o.Config == nil:
		return errors.New("audit: Config must be set")
	case o.Logger == nil:
		return errors.New("audit: Logger must be set")
	case !namespacePattern.MatchString(o.Namespace):
		return fmt.Errorf("audit: Namespace is %q; wants the name of a namespace", o.Namespace)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.closeAt == 0 {
		o.closeAt = closeAt
	}
	if o.maxSegments == 0 {
		o.maxSegments = maxSegments
	}
	if o.fileBytes == 0 {
		o.fileBytes = maxFileBytes
	}
	if o.maxFiles == 0 {
		o.maxFiles = maxFiles
	}
	if o.probeEvery == 0 {
		o.probeEvery = probeEvery
	}
	return nil
}

// Log is the audit chain as one replica writes and reads it. Make it with New.
type Log struct {
	opts    Options
	logger  *slog.Logger
	cluster *cluster
	now     func() time.Time
	metrics *metrics

	queue   chan *entry
	stopped chan struct{}
	readers chan struct{} // room for those who read the chain at a time

	// Of the goroutine of Run.
	tail      tail
	committed head // the last head that this process knows to be in the cluster
	directory *directory

	mu     sync.Mutex
	heads  []head // own heads, the oldest first
	health *rightsizerv1.ComponentHealth
}

// entry is a record that waits.
type entry struct {
	ctx    context.Context //nolint:containedctx // of the caller, whose record is dropped when it ends
	record *rightsizerv1.AuditRecord
	done   chan outcome
}

type outcome struct {
	head *rightsizerv1.AuditHead
	err  error
}

// New makes a Log. It touches neither the cluster nor the directory: that begins
// with the first record, and with Run.
func New(opts Options) (*Log, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	cluster, err := newCluster(opts.Config, opts.Namespace)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	l := &Log{
		opts: opts, logger: opts.Logger, cluster: cluster, now: opts.Now,
		queue: make(chan *entry, maxQueue), stopped: make(chan struct{}), readers: make(chan struct{}, maxReaders),
		health: &rightsizerv1.ComponentHealth{
			Component: "audit", State: rightsizerv1.HealthState_HEALTH_STATE_OK, Since: timestamppb.New(opts.Now()),
		},
	}
	if opts.Directory != "" {
		l.directory = &directory{path: opts.Directory, fileBytes: opts.fileBytes, maxFiles: opts.maxFiles}
	}
	if l.metrics, err = newMetrics(opts.Registerer); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return l, nil
}

// Append keeps a record and returns its number and hash once every copy has it.
// What may happen only with a record may happen after that and not before.
//
// Sequence, time, hash and previous_hash are set here; the record itself is not
// changed. Its errors: an [InvalidRecordError] for a record without actor or
// action, with a diff that is none, or beyond the bounds of the schema; an
// [UnavailableError], which is [ErrUnavailable], where a copy cannot be written or
// 256 records wait already; ctx's error, after which the record may be written or
// not.
func (l *Log) Append(ctx context.Context, record *rightsizerv1.AuditRecord) (*rightsizerv1.AuditHead, error) {
	kept, err := clean(record)
	if err != nil {
		return nil, err
	}
	if kept.GetReplica() == "" {
		kept.Replica = l.opts.Replica
	}
	e := &entry{ctx: ctx, record: kept, done: make(chan outcome, 1)}
	began := time.Now()
	select {
	case <-l.stopped:
		return nil, l.unavailable(PartCluster, errors.New("the operator is stopping"))
	default:
	}
	select {
	case l.queue <- e:
	default:
		return nil, l.unavailable(PartCluster, fmt.Errorf("%d records wait already", maxQueue))
	}
	select {
	case out := <-e.done:
		if out.err == nil {
			l.metrics.seconds.Observe(time.Since(began).Seconds())
		}
		return out.head, out.err
	case <-ctx.Done():
		return nil, fmt.Errorf("audit: %w", ctx.Err())
	case <-l.stopped:
		select {
		case out := <-e.done: // served in the last moment
			return out.head, out.err
		default:
			return nil, l.unavailable(PartCluster, errors.New("the operator is stopping"))
		}
	}
}

func (l *Log) unavailable(part string, err error) error {
	l.metrics.failures.WithLabelValues(part).Inc()
	return &UnavailableError{Part: part, Err: err}
}

// Run writes what is appended until ctx ends. What still waits then fails.
func (l *Log) Run(ctx context.Context) error {
	defer l.cluster.close()
	defer close(l.stopped)
	if l.directory != nil {
		defer l.directory.close()
		l.probe(ctx) // a directory that cannot be used shows before it is needed
	}
	ticker := time.NewTicker(l.opts.probeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case first := <-l.queue:
			l.serve(ctx, l.gather(first))
		case <-ticker.C:
			if l.Health().GetState() != rightsizerv1.HealthState_HEALTH_STATE_OK {
				l.probe(ctx)
			}
		}
	}
}

// gather takes what waits together with first, within the bounds of a batch.
func (l *Log) gather(first *entry) []*entry {
	var batch []*entry
	bytes := 0
	for e := first; ; {
		if e.ctx.Err() == nil { // nobody waits for the others any more
			batch = append(batch, e)
			bytes += estimate(e.record)
		}
		if len(batch) == maxBatch || bytes > maxBatchBytes-maxLine {
			return batch
		}
		select {
		case e = <-l.queue:
		default:
			return batch
		}
	}
}

// serve appends a batch to every copy and tells those who wait.
func (l *Log) serve(ctx context.Context, batch []*entry) {
	if len(batch) == 0 {
		return
	}
	records := make([]*rightsizerv1.AuditRecord, len(batch))
	for i, e := range batch {
		records[i] = e.record
	}
	err := l.keep(ctx, records)
	for i, e := range batch {
		if err != nil {
			e.done <- outcome{err: err}
			continue
		}
		e.done <- outcome{head: &rightsizerv1.AuditHead{Sequence: records[i].GetSequence(), Hash: records[i].GetHash()}}
	}
	if err == nil {
		l.metrics.records.Add(float64(len(batch)))
		l.retire(ctx)
	}
}

// keep writes records to every copy. A directory that is known not to take them is
// tried first, so that nothing gets into the cluster that cannot get into both.
func (l *Log) keep(stop context.Context, records []*rightsizerv1.AuditRecord) error {
	ctx, cancel := context.WithTimeout(stop, commitWithin)
	defer cancel()
	if l.directory != nil && !l.directory.ready() {
		if err := l.completeDirectory(ctx); err != nil {
			return l.failed(ctx, PartDirectory, err)
		}
	}
	lines, err := l.commit(ctx, records)
	if err != nil && stop.Err() != nil {
		return l.unavailable(PartCluster, errors.New("the operator is stopping"))
	}
	if err != nil {
		return l.failed(ctx, PartCluster, err)
	}
	if l.directory != nil {
		if err := l.copyToDirectory(ctx, lines); err != nil {
			return l.failed(ctx, PartDirectory, err)
		}
	}
	l.recovered(ctx)
	return nil
}

// probe looks whether what failed works again, without writing a record.
func (l *Log) probe(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, commitWithin)
	defer cancel()
	l.tail.known = false
	if err := l.reload(ctx, nil); err != nil {
		_ = l.failed(ctx, PartCluster, err)
		return
	}
	if l.directory != nil {
		if err := l.completeDirectory(ctx); err != nil {
			_ = l.failed(ctx, PartDirectory, err)
			return
		}
	}
	l.recovered(ctx)
}

// remember keeps a head that this process wrote.
func (l *Log) remember(h head) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.heads) == maxHeads {
		l.heads = append(l.heads[:0], l.heads[1:]...)
	}
	l.heads = append(l.heads, h)
}

func (l *Log) lastKnown() head {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.heads) == 0 {
		return head{}
	}
	return l.heads[len(l.heads)-1]
}

// estimate is about the number of bytes that a record will take.
func estimate(r *rightsizerv1.AuditRecord) int {
	n := 512 + len(r.GetReason()) + 2*len(r.GetDiff()) + len(r.GetPolicy()) + len(r.GetTarget())
	for key, value := range r.GetEvidence() {
		n += len(key) + len(value) + 8
	}
	for _, group := range r.GetActorGroups() {
		n += len(group) + 4
	}
	return n + 36*len(r.GetCauseEventIds())
}
