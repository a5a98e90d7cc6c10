package remediate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	corev1 "k8s.io/api/core/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/tracing"
)

// Policies are the policies of the cluster as they are now.
type Policies interface {
	// Set is all of them, or why nobody knows.
	Set() (*policy.Set, error)
	// Frozen is why every effect is frozen; empty where it is not.
	Frozen() string
	// NamespaceLabels are the labels of a namespace, not to be changed.
	NamespaceLabels(namespace string) map[string]string
	// ApprovalsBound is since when an admission policy sees to it that an approval
	// in a status was written by who it names; or why none can be believed.
	ApprovalsBound(ctx context.Context, namespace string) (time.Time, error)
}

// Auditor keeps a record of what is about to be done. Without its word nothing is
// done, and by it is known afterwards what was.
type Auditor interface {
	Append(ctx context.Context, record *rightsizerv1.AuditRecord) (*rightsizerv1.AuditHead, error)
	// Records visits what was kept, the latest first, before 0 from the end, until
	// visit returns false.
	Records(ctx context.Context, before int64, visit func(*rightsizerv1.AuditRecord) bool) error
}

// Cluster is what the watcher knows.
type Cluster interface {
	// ClusterID is the cluster's id, empty before it is known.
	ClusterID() string
	// Synced is true once the first picture of the cluster is complete.
	Synced() bool
	// Problems lists what is wrong now.
	Problems() []*rightsizerv1.Event
}

// Recommender says what size a container should have.
type Recommender interface {
	Recommendation(namespace, kind, name, container string) (*rightsizerv1.Recommendation, bool)
}

// Measured is what is measured of a container.
type Measured struct {
	guard.Usage

	// ThrottledPercent is the largest throttled share of its CPU periods of late,
	// over its pods, and ThrottledTime when it was measured; nil where it is not
	// known.
	ThrottledPercent *int32
	ThrottledTime    time.Time
}

// Usage is what is measured.
type Usage interface {
	Usage(namespace, kind, name, container string) (Measured, bool)
}

// Source is where events come from.
type Source interface {
	// Next waits for events. missed says that some were lost before these, so that
	// what is wrong now has to be looked up.
	Next(ctx context.Context) (events []*rightsizerv1.Event, missed bool, err error)
}

// Bounds.
const (
	// MaxWaiting is how many workloads wait for a worker, at most.
	MaxWaiting = 4096
	// MaxPerNamespace is how many Remediations a namespace holds; one more is
	// refused.
	MaxPerNamespace = 500
	// KeepFinished is how long a finished Remediation is kept at least.
	KeepFinished = 7 * 24 * time.Hour

	defaultWorkers = 16
	shownMessage   = 512
)

// Options are what an Engine needs. All are required but those that say otherwise.
type Options struct {
	Client   *kube.Client
	Cluster  Cluster
	Policies Policies
	Audit    Auditor
	Actions  *action.Set
	// Source is pulled while leading.
	Source Source
	// Publish takes the events remediation.*.
	Publish func(*rightsizerv1.Event)
	// Recommender, Usage and Webhooks may be nil.
	Recommender Recommender
	Usage       Usage
	Webhooks    action.Webhooks
	// Announcer writes Kubernetes Events; nil writes none.
	Announcer Announcer
	// Identity names this replica.
	Identity string
	// Limits are the guards' thresholds; the zero value is their default.
	Limits guard.Limits
	// Workers is how many workloads are worked on at a time; 16 by default.
	Workers int
	Logger  *slog.Logger
	// Registerer takes rightsizer_remediation_*; nil is none.
	Registerer prometheus.Registerer
	// Tracing takes the traces of causes (see package tracing); nil makes none.
	Tracing trace.TracerProvider
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

func (o *Options) complete() error {
	for name, missing := range map[string]bool{
		"Client": o.Client == nil, "Cluster": o.Cluster == nil, "Policies": o.Policies == nil, "Audit": o.Audit == nil,
		"Actions": o.Actions == nil, "Source": o.Source == nil, "Publish": o.Publish == nil, "Identity": o.Identity == "", "Logger": o.Logger == nil,
	} {
		if missing {
			return fmt.Errorf("remediate: %s must be set", name)
		}
	}
	if o.Workers <= 0 {
		o.Workers = defaultWorkers
	}
	if o.Limits == (guard.Limits{}) {
		o.Limits = guard.DefaultLimits()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

// Engine decides and acts. Make it with New; see the package's comment.
type Engine struct {
	opts    Options
	client  *kube.Client
	logger  *slog.Logger
	book    *book
	teller  *teller
	metrics *metrics
	tracer  *tracing.Tracer // nil makes no spans
	waiting *waiting
	refused refusals
	calls   chan call
	resting rests
	words   words
	state   condition

	// gate is held while guards are asked and what they let through is noted.
	gate sync.Mutex

	mu      sync.Mutex
	started time.Time // when this process saw everything for the first time
	leading bool
}

// New makes an Engine. It talks to nobody yet.
func New(opts Options) (*Engine, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	e := &Engine{opts: opts, client: opts.Client, logger: opts.Logger, tracer: tracing.New(opts.Tracing), calls: make(chan call, maxCalls)}
	var err error
	if e.metrics, err = newMetrics(opts.Registerer); err != nil {
		return nil, fmt.Errorf("remediate: %w", err)
	}
	e.teller = newTeller(e)
	e.book = newBook(e)
	e.waiting = newWaiting(e)
	return e, nil
}

func (e *Engine) now() time.Time { return e.opts.Now() }

// Run follows the Remediations until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { e.book.run(ctx) })
	wg.Go(func() { e.runCalls(ctx) })
	wg.Wait()
	return nil
}

// Leading says whether this replica carries out what is decided.
func (e *Engine) Leading() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.leading
}

func (e *Engine) lead(now bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leading = now
}

// sees notes when everything was seen for the first time.
func (e *Engine) sees() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.started.IsZero() {
		e.started = e.now()
	}
	return e.started
}

// errNotSynced: what is needed to decide is not known yet.
var errNotSynced = errors.New("the cluster, its policies and its Remediations are not all known yet")

// ready waits until everything that decisions rest on is known.
func (e *Engine) ready(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if e.known() == nil {
			e.sees()
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (e *Engine) known() error {
	if !e.opts.Cluster.Synced() || e.opts.Cluster.ClusterID() == "" || !e.book.isSynced() {
		return errNotSynced
	}
	_, err := e.opts.Policies.Set()
	return err
}

// Lead carries out what is decided until ctx ends.
func (e *Engine) Lead(ctx context.Context) error {
	if err := e.ready(ctx); err != nil {
		return nil // it ended before it began
	}
	e.lead(true)
	defer e.lead(false)
	e.logger.InfoContext(ctx, "remediation: this replica leads", slog.String("identity", e.opts.Identity))
	q := e.waiting.open()
	var wg sync.WaitGroup
	for range e.opts.Workers {
		wg.Go(func() { e.work(ctx, q) })
	}
	wg.Go(func() { e.pull(ctx) })
	wg.Go(func() { e.tidy(ctx) })
	e.lookAround()
	<-ctx.Done()
	e.waiting.close()
	wg.Wait()
	return nil
}

// lookAround finds what is open, what is wrong now, and which cures last.
func (e *Engine) lookAround() {
	for _, key := range e.book.unfinished() {
		e.waiting.add(key)
	}
	for _, ev := range e.opts.Cluster.Problems() {
		e.take(ev)
	}
	for _, key := range e.book.curedWorkloads() {
		e.waiting.look(key)
	}
}

// pull takes events from the bus.
func (e *Engine) pull(ctx context.Context) {
	for ctx.Err() == nil {
		events, missed, err := e.opts.Source.Next(ctx)
		if err != nil {
			return // the bus has ended, or ctx
		}
		for _, ev := range events {
			e.take(ev)
		}
		if missed {
			e.lookAround()
		}
	}
}

// work takes one workload after the other.
func (e *Engine) work(ctx context.Context, q queue) {
	for {
		key, stop := q.Get()
		if stop {
			return
		}
		e.isolated(ctx, key)
		q.Done(key)
	}
}

// isolated processes one workload; a panic ends at it.
func (e *Engine) isolated(ctx context.Context, key workloadKey) {
	defer func() {
		if p := recover(); p != nil {
			e.metrics.panics.Inc()
			e.logger.ErrorContext(ctx, "remediation: a panic", slog.String("workload", key.String()), slog.Any("panic", p))
			e.waiting.after(key, time.Minute)
		}
	}()
	if ctx.Err() != nil {
		return
	}
	e.process(ctx, key)
}

// measurement is an answer about a container's usage; known says that there is one.
type measurement struct {
	Measured

	container string
	known     bool
}

// seen is a live workload with what was read beside it a moment ago.
type seen struct {
	workload *kube.Workload
	pod      *corev1.Pod
	policy   *policy.Policy
	draft    *action.Draft
	// budgets cover its pods; nil where they were not read.
	budgets []guard.DisruptionBudget
	lastOOM time.Time
	// measured is asked for once: it takes a look at every pod of the namespace.
	measured *measurement
	// verdict is what the guards said last; observed is when the cause was seen, begun
	// when the deciding about it began.
	verdict         guard.Result
	observed, begun time.Time
}
