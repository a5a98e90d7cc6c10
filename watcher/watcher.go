package watcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/protobuf/types/known/timestamppb"
	"k8s.io/klog/v2"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/convert"
	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/history"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/store"
	"github.com/rightsizer/rightsizer/watcher/track"
	"github.com/rightsizer/rightsizer/watcher/usage"
)

var (
	errRelist     = errors.New("the watch cannot be continued")
	errNoIdentity = errors.New("the cluster's id cannot be read, set it or allow get on namespace kube-system")
	// ErrRunning is returned by a second call of Run.
	ErrRunning = errors.New("watcher: Run was called before")
	// ErrUnknownResource is wrapped where a Feeder is given what no Watcher reads.
	ErrUnknownResource = errors.New("no such resource is watched")
)

// Watcher watches one cluster. See the package's documentation.
type Watcher struct {
	opts       Options
	api        *api
	converter  *convert.Converter
	store      *store.Store
	health     *health
	watches    []*watchHealth // in the order of resources, events last
	quarantine *quarantine
	metrics    *metrics
	ident      identity
	usage      measured
	started    atomic.Bool
	// settled tells the start of the pods that a controller's list is complete.
	settled chan struct{}

	// convert is a field so that tests can make it panic.
	convert func(r *resource, obj any) (any, error)

	// mu is held while an object is stored, looked at and published.
	mu      sync.Mutex
	tracker *track.Tracker
	// machines are the nodes as they were looked at last, by name.
	machines    map[string]*detect.Machine
	autoscalers *policies[object.Autoscaler]
	budgets     *policies[object.Budget]
	incidents   incidents
	deadlines   deadlines
	notes       *track.Notes[ref]
	// atStart says that what is noted and looked at was found at start.
	atStart bool
	// unseen are the pods of a list that are stored and not looked at yet, by key.
	unseen    []*object.Pod
	findings  []detect.Finding      // used again and again
	events    []*rightsizerv1.Event // used again and again
	podGlance glance[object.Pod]    // used again and again
	problems  line                  // health of the list of problems

	tuned atomic.Pointer[Tuning] // never nil
}

// identity is what the server said of itself.
type identity struct {
	mu      sync.RWMutex
	cluster string
	version string
	synced  time.Time
}

func (i *identity) clusterID() string {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.cluster
}

func (i *identity) syncedAt() time.Time {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.synced
}

// New checks the options and makes a Watcher. It contacts nobody and starts
// nothing.
func New(opts Options) (*Watcher, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	client, err := newAPI(opts.Config)
	if err != nil {
		return nil, fmt.Errorf("watcher: %w", err)
	}
	w := &Watcher{
		opts:      opts,
		api:       client,
		converter: convert.New(),
		store:     store.New(),
		health:    newHealth(opts.Clock.Now),
		metrics:   newMetrics(),
		settled:   make(chan struct{}, 1),
		tracker:   track.New(opts.MaxProblems),
		deadlines: newDeadlines(),
		machines:  make(map[string]*detect.Machine),
		problems:  line{state: healthOK, since: opts.Clock.Now()},
	}
	w.notes = track.NewNotes(w.goesOn)
	w.tuned.Store(&Tuning{Thresholds: opts.Thresholds, Price: opts.Usage.Price})
	w.converter.NodeGroupLabel = opts.Usage.DaemonSetNodeLabel
	if len(opts.Usage.Sources) > 0 {
		w.usage.checkpoints.namespace = opts.Usage.CheckpointNamespace
	}
	w.usage.checkpoints.line = line{state: healthStarting, since: opts.Clock.Now(), reason: "not read yet"}
	w.usage.room.line = line{state: healthOK, since: opts.Clock.Now()}
	w.usage.constraints = w.newConstraints()
	w.usage.fits = make(map[string]*workloadFit)
	w.usage.ran = make(map[object.WorkloadKey]*lastRun)
	w.usage.silent, w.usage.began = make(map[usage.Key]silence), opts.Clock.Now()
	w.usage.pods, w.usage.nodes = make(map[string]*podUse), make(map[string]*use)
	if w.usage.book, err = usage.NewBook(usage.BookOptions{MaxBytes: opts.Usage.SketchBytes}); err != nil {
		return nil, fmt.Errorf("watcher: %w", err)
	}
	if w.usage.history, err = history.New(opts.Usage.HistoryBytes); err != nil {
		return nil, fmt.Errorf("watcher: %w", err)
	}
	if err := w.newPolled(); err != nil {
		return nil, fmt.Errorf("watcher: %w", err)
	}
	if w.incidents, err = newIncidents(opts.Incidents, opts.Clock.Now()); err != nil {
		return nil, fmt.Errorf("watcher: %w", err)
	}
	w.autoscalers, w.budgets = w.newAutoscalers(), w.newBudgets()
	w.ident.cluster = opts.ClusterID
	w.quarantine = newQuarantine(opts.Logger, w.metrics)
	w.convert = func(r *resource, obj any) (any, error) { return r.convert(w.converter, obj) }
	for _, r := range append(resources(), kubeEvents()) {
		h := newWatchHealth(w.health, r)
		h.settled = w.settle
		w.watches = append(w.watches, h)
	}
	if opts.Registerer != nil {
		if err := w.metrics.register(opts.Registerer, w); err != nil {
			return nil, fmt.Errorf("watcher: %w", err)
		}
	}
	return w, nil
}

// Run watches until ctx is done and returns when all that it started is gone.
// It returns nil then: an API server that cannot be reached is no reason to
// end, see Health.
func (w *Watcher) Run(ctx context.Context) error {
	if w.started.Swap(true) {
		return ErrRunning
	}
	return w.run(ctx)
}

func (w *Watcher) run(ctx context.Context) error {
	defer w.api.close()
	// client-go logs through the context; its levels above 0 are for its
	// developers and come out as debug.
	ctx = klog.NewContext(ctx, logr.FromSlogHandler(w.opts.Logger.Handler()))
	if !w.identify(ctx) {
		return nil
	}
	w.startMeasuring(ctx)
	var running sync.WaitGroup
	running.Go(func() { w.keepTime(ctx) })
	if len(w.usage.sources) > 0 {
		running.Go(func() { w.pollUsage(ctx) })
		running.Go(func() { w.keepHistory(ctx) })
		running.Go(func() { w.watchConstraints(ctx) })
		running.Go(func() { w.keepLead(ctx) })
	}
	known := make(chan struct{})
	running.Go(func() {
		defer close(known)
		w.waitForContext(ctx)
	})
	for _, h := range w.watches {
		c := w.connect(h)
		if h.resource.name == eventsResource {
			running.Go(func() { w.watchKubeEvents(ctx, c) })
			continue
		}
		f, err := w.feedOf(c, h)
		if err != nil {
			return err // Before anything that has no sink could start: a mistake of ours.
		}
		running.Go(func() {
			if h.resource.late {
				<-known
			}
			w.reflect(ctx, c, f)
		})
	}
	running.Wait()
	return nil
}

// identify waits for the API server and learns who it is; false when ctx is
// done first.
func (w *Watcher) identify(ctx context.Context) bool {
	for attempt := 1; ; attempt++ {
		version, err := w.api.version(ctx)
		if err != nil && !unavailable(err) {
			err = nil // The version is not for everybody to read, and not needed.
		}
		id := w.opts.ClusterID
		if err == nil && id == "" {
			id, err = w.api.clusterUID(ctx)
			if err != nil && !unavailable(err) {
				err = fmt.Errorf("%w: %w", errNoIdentity, err)
			}
		}
		if err == nil {
			w.health.answered()
			w.ident.mu.Lock()
			w.ident.cluster, w.ident.version = id, version
			w.ident.mu.Unlock()
			w.opts.Logger.Info("API server reached", slog.String("version", version), slog.String("cluster", id))
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		w.health.refuse(err)
		timer := w.opts.Clock.NewTimer(max(backoff(attempt+1, w.opts.RetryMax), retryAfter(err)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C():
		}
	}
}

func (w *Watcher) connect(h *watchHealth) *conn {
	return &conn{
		api: w.api, res: h.resource, health: h, clock: w.opts.Clock,
		max: w.opts.RetryMax, paged: w.opts.DisableWatchList,
		convert: func(obj any) any { return obj },
	}
}

// feedOf is the store that the reflector of a watch feeds; its objects come
// compact.
func (w *Watcher) feedOf(c *conn, h *watchHealth) (*feed, error) {
	s, err := w.sinkOf(h.resource)
	if err != nil {
		return nil, err
	}
	f := &feed{w: w, res: h.resource, health: h, sink: s}
	c.convert = f.convert
	return f, nil
}

// settle notes that a list is complete, or will not come.
func (w *Watcher) settle() {
	select {
	case w.settled <- struct{}{}: // For the start of the pods.
	default:
	}
	if w.Synced() || len(w.missing()) > 0 {
		return
	}
	w.ident.mu.Lock()
	first := w.ident.synced.IsZero()
	if first {
		w.ident.synced = w.opts.Clock.Now()
	}
	w.ident.mu.Unlock()
	if !first {
		return
	}
	w.opts.Logger.Info("first picture of the cluster is complete")
	if w.opts.OnSynced != nil {
		w.opts.OnSynced()
	}
}

// waitForContext waits until the controllers are known and what Kubernetes Events
// said before is read, or cannot be: a pod that waits for its volume, say, waits for
// nobody knows what to who has not heard of it.
func (w *Watcher) waitForContext(ctx context.Context) {
	timer := w.opts.Clock.NewTimer(w.opts.OwnerWait)
	defer timer.Stop()
	for {
		waiting := false
		for _, h := range w.watches {
			synced, forbidden, _, _ := h.status()
			if (h.resource.kind != "" || h.resource.name == eventsResource) && !synced && !forbidden {
				waiting = true
			}
		}
		if !waiting {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C():
			return
		case <-w.settled:
		}
	}
}

// synchronized notes a complete list.
func (w *Watcher) synchronized(h *watchHealth) {
	h.settled()
}

// relisted notes a list after the first: the watch before it was lost and could
// not be continued. It runs before the list is compared, so that the marker
// comes ahead of what it explains.
func (w *Watcher) relisted(r *resource, since time.Time, cause string) {
	w.metrics.relists.WithLabelValues(r.name).Inc()
	if cause == "" {
		cause = "it ended"
	}
	w.opts.Logger.Warn("watch lost, list read again",
		slog.String("resource", r.name), slog.Time("since", since), slog.String("cause", convert.Text(cause, 512)))
	w.metrics.resyncs.WithLabelValues(r.name).Inc()
	marker := &rightsizerv1.StreamResync{
		Scope: r.name,
		Reason: convert.Text(fmt.Sprintf("The watch of %s was lost (%s) and could not be continued. What came and went "+
			"since then is unknown: %s.", r.name, convert.Text(cause, 512), r.hides), maxHealthReason),
		Since: timestamppb.New(since),
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opts.Publisher.Resync(marker)
}

func parseVersion(raw []byte) string {
	var v struct {
		GitVersion string `json:"gitVersion"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return ""
	}
	return convert.Text(v.GitVersion, 64)
}
