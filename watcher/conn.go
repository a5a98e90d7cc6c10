package watcher

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"
)

// retryMin is the first pause between two attempts.
const retryMin = 50 * time.Millisecond

// shortWatch is a watch that ended without a word: the server takes connections
// and drops them, which calls for a pause like any other failure.
const shortWatch = time.Second

// pageSize bounds the whole objects that are held while a list is read. A page
// is held raw and decoded, by eight lists at a time: with client-go's 500 pods of
// 15 KiB, 1,000 pods took 98 MiB.
const pageSize = 100

// eventsPage is less, since anybody who may write Events writes some of 1 MiB.
const eventsPage = 20

// maxRestarts is how often a list that expires between two pages is begun anew
// before the reflector decides, which begins it anew after a pause.
const maxRestarts = 3

// conn is the way of one reflector to the API server. It keeps trying by itself
// instead of returning most errors, for three reasons: a reflector tells nobody
// about errors that it retries, it waits without looking at its context, and it
// lists again after errors that lost nothing.
type conn struct {
	api     *api
	res     *resource
	health  *watchHealth
	clock   clock.WithTicker
	max     time.Duration
	paged   bool
	convert func(any) any
	// reading is held for reading while a list is under way, and closed for
	// good by join: a reflector leaves its list behind when it is stopped.
	reading sync.RWMutex

	mu       sync.Mutex
	failures int
	after    time.Duration // what the server asked for with the latest failure
}

// IsWatchListSemanticsUnSupported is what reflectors ask; the name is
// client-go's.
func (c *conn) IsWatchListSemanticsUnSupported() bool {
	return c.paged
}

// WatchWithContext opens a watch. It returns an error only where the reflector
// has to do something else (list again, or without streaming), or when ctx is
// done.
func (c *conn) WatchWithContext(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	for {
		if err := c.pause(ctx); err != nil {
			return nil, err
		}
		watchCtx, cancel := context.WithCancelCause(ctx)
		w, err := c.api.watch(watchCtx, cancel, c.res, opts)
		var first []watch.Event
		if err == nil {
			first, err = peek(w)
		}
		if err == nil {
			c.health.opened(opts.SendInitialEvents != nil && *opts.SendInitialEvents)
			return c.observe(w, cancel, first), nil
		}
		cancel(nil)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		c.health.refused(err)
		c.fail(err)
		if forReflector(err) {
			return nil, err
		}
	}
}

// peek tells a watch from the empty one that client-go returns, without an
// error, where the connection breaks before the answer. It returns what it had
// to read for that.
func peek(w watch.Interface) ([]watch.Event, error) {
	select {
	case event, ok := <-w.ResultChan():
		if !ok {
			return nil, errDropped
		}
		return []watch.Event{event}, nil
	default:
		return nil, nil
	}
}

// ListWithContext reads a whole list, page by page and converted page by page, so
// that whole objects are never held for more than one page. client-go's pager gets
// all in one answer: of a list that expires between two pages it would ask for the
// whole without a page size, and take the first page that comes for it.
func (c *conn) ListWithContext(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
	c.reading.RLock()
	defer c.reading.RUnlock()
	var out *metainternal.List
	position, err := c.whole(ctx, opts, func() { out = &metainternal.List{} }, func(obj runtime.Object) error {
		out.Items = append(out.Items, &listed{compact: c.convert(obj)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	out.ResourceVersion = position
	return out, nil
}

// whole reads a list to its end and returns its position. begin is called before
// the first object, and again where the list expired halfway and is begun anew.
func (c *conn) whole(ctx context.Context, opts metav1.ListOptions, begin func(), take func(runtime.Object) error) (position string, err error) {
	for restarts := 0; ; restarts++ {
		begin()
		position, err = c.eachPage(ctx, opts, take)
		if err == nil || restarts >= maxRestarts || !expired(err) || ctx.Err() != nil {
			return position, err
		}
	}
}

// eachPage passes on the objects of a list, page by page, and returns the
// list's position. Where it fails, what was passed on is not all.
func (c *conn) eachPage(ctx context.Context, opts metav1.ListOptions, take func(runtime.Object) error) (position string, err error) {
	// A server that is asked for any version, or one no older than some,
	// ignores the page size.
	opts.ResourceVersion, opts.Continue, opts.Limit = "", "", min(cmp.Or(opts.Limit, pageSize), pageSize)
	for {
		page, err := c.page(ctx, opts)
		if err != nil {
			return "", err
		}
		list, err := meta.ListAccessor(page)
		if err != nil {
			return "", err
		}
		if err := meta.EachListItem(page, take); err != nil {
			return "", err
		}
		if opts.Continue = list.GetContinue(); opts.Continue == "" {
			return list.GetResourceVersion(), nil
		}
	}
}

// page reads one page, and tries again until it has it, ctx is done, or the
// reflector has to do something else.
func (c *conn) page(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
	for {
		if err := c.pause(ctx); err != nil {
			return nil, err
		}
		pageCtx, cancel := context.WithTimeout(ctx, answerWithin)
		page, err := c.api.list(pageCtx, c.res, opts)
		cancel()
		if err == nil {
			c.health.active()
			c.health.answered()
			c.ok()
			return page, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		c.health.refused(err)
		c.fail(err)
		if forReflector(err) {
			return nil, err
		}
	}
}

// Watch and List are what client-go asked for before there were contexts. No
// reflector calls them.

// Watch implements cache.ListerWatcher.
func (c *conn) Watch(opts metav1.ListOptions) (watch.Interface, error) {
	return c.WatchWithContext(context.Background(), opts)
}

// List implements cache.ListerWatcher.
func (c *conn) List(opts metav1.ListOptions) (runtime.Object, error) {
	return c.ListWithContext(context.Background(), opts)
}

// listed carries a compact object through client-go's lists.
type listed struct {
	metav1.TypeMeta
	compact any
}

// DeepCopyObject shares the object, which never changes.
func (l *listed) DeepCopyObject() runtime.Object {
	return &listed{TypeMeta: l.TypeMeta, compact: l.compact}
}

// forReflector are the errors that a reflector answers by doing something else:
// a position that is too old or unknown, or a request that this server does not
// understand.
func forReflector(err error) bool {
	return expired(err) ||
		apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge) ||
		apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsMethodNotSupported(err)
}

// expired says that a position, or the list that a page continues, is too old.
func expired(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
}

// pause waits as the failures so far demand: 50 ms doubled up to max, or longer
// where the server asked for that, with up to a quarter more, so that the watches
// do not knock in step.
func (c *conn) pause(ctx context.Context) error {
	c.mu.Lock()
	failures, after := c.failures, c.after
	c.mu.Unlock()
	if failures == 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	d := max(backoff(failures, c.max), after)
	d += time.Duration(rand.Int64N(int64(d)/4 + 1)) //nolint:gosec // Jitter is no secret.
	timer := c.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C():
		return nil
	}
}

// backoff is the pause after a number of failures in a row.
func backoff(failures int, most time.Duration) time.Duration {
	return min(retryMin<<min(failures-1, 20), most)
}

// fail notes a failed attempt; err says whether the server named a time.
func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures++
	c.after = retryAfter(err)
}

func (c *conn) ok() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures, c.after = 0, 0
}

// join waits for a list that a stopped reflector left behind.
func (c *conn) join() {
	c.reading.Lock()
	defer c.reading.Unlock()
}

// observe passes a watch on and notes what happens to it at once: a reflector
// would tell a broken connection only at its next attempt.
func (c *conn) observe(source watch.Interface, cancel context.CancelCauseFunc, first []watch.Event) watch.Interface {
	o := &observed{
		conn: c, source: source, cancel: cancel, first: first,
		out: make(chan watch.Event), done: make(chan struct{}), gone: make(chan struct{}),
	}
	go o.forward()
	return o
}

// observed is a watch under observation.
type observed struct {
	conn   *conn
	source watch.Interface
	cancel context.CancelCauseFunc
	first  []watch.Event // read already
	out    chan watch.Event
	stop   sync.Once
	done   chan struct{} // closed by Stop
	gone   chan struct{} // closed when forward has ended
}

// ResultChan implements watch.Interface.
func (o *observed) ResultChan() <-chan watch.Event {
	return o.out
}

// Stop ends the watch and waits for its goroutine.
func (o *observed) Stop() {
	o.stop.Do(func() { close(o.done) })
	o.source.Stop()
	<-o.gone
}

func (o *observed) forward() {
	defer close(o.gone)
	defer close(o.out)
	defer o.cancel(nil)
	opened, count := o.conn.clock.Now(), 0
	for _, event := range o.first {
		count++
		if !o.pass(event) {
			return
		}
	}
	for {
		select {
		case <-o.done:
			return
		case event, ok := <-o.source.ResultChan():
			switch {
			case ok:
				count++
				if !o.pass(event) {
					return
				}
				continue
			case count == 0 && o.conn.clock.Since(opened) < shortWatch:
				o.conn.health.ended(errDropped)
				o.conn.fail(errDropped)
			default:
				o.conn.health.ended(nil)
			}
			return
		}
	}
}

// pass hands one event on; false where nobody takes it any more.
func (o *observed) pass(event watch.Event) bool {
	if event.Type == watch.Error {
		o.conn.health.ended(apierrors.FromObject(event.Object))
	} else {
		o.conn.health.active()
		o.conn.ok()
	}
	select {
	case <-o.done:
		return false
	case o.out <- event:
		return true
	}
}

var errDropped = errors.New("the server closed the connection at once")
