package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
)

const (
	retryMin = 100 * time.Millisecond
	// retryMax is also how soon CRDs are found that are installed later.
	retryMax = 10 * time.Second
	pageSize = 200
	// answerWithin bounds one request that is no watch.
	answerWithin = 20 * time.Second
	// watchFor is when the server ends a watch, which then is opened again.
	watchFor = 5 * time.Minute
)

// errDropped: the connection broke before the answer, which client-go gives as a
// watch that ended.
var errDropped = errors.New("the API server ended the watch at once")

// taker takes what a follower sees.
type taker interface {
	// replace takes a complete list.
	replace(objs []*unstructured.Unstructured)
	// put takes one object that is new or changed, and says how many there are
	// then; remove takes one that is gone.
	put(obj *unstructured.Unstructured) int
	remove(obj *unstructured.Unstructured)
}

// follower follows one resource by list and watch.
type follower struct {
	// name is how health calls it.
	name    string
	client  dynamic.ResourceInterface
	options metav1.ListOptions
	// optional says that the resource need not exist.
	optional bool
	take     taker
	// limit is how many objects are taken, at most.
	limit int

	mu     sync.Mutex
	synced bool
	absent bool
	broken time.Time // since when; zero while a watch is open
	err    error
	over   bool
}

// run follows until ctx ends.
func (f *follower) run(ctx context.Context) {
	pause := retryMin
	for ctx.Err() == nil {
		opened := time.Now()
		err := f.once(ctx)
		if ctx.Err() != nil {
			return
		}
		f.failed(err)
		if time.Since(opened) > watchFor/5 {
			pause = retryMin
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2+1)) //nolint:gosec // jitter, no secret
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
		pause = min(2*pause, retryMax)
	}
}

// once lists and then watches, from one end of a watch to the next, until
// something fails.
func (f *follower) once(ctx context.Context) error {
	version, err := f.list(ctx)
	if err != nil {
		return err
	}
	for {
		if version, err = f.watch(ctx, version); err != nil {
			return err
		}
	}
}

func (f *follower) list(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	opts := f.options
	opts.Limit = pageSize
	var objs []*unstructured.Unstructured
	for {
		page, err := f.client.List(ctx, opts)
		if f.optional && apierrors.IsNotFound(err) {
			f.take.replace(nil)
			f.gone()
			return "", err
		}
		if err != nil {
			return "", err
		}
		for i := range page.Items {
			objs = append(objs, &page.Items[i])
		}
		if len(objs) > f.limit {
			return "", f.overflow()
		}
		if opts.Continue = page.GetContinue(); opts.Continue == "" {
			f.take.replace(objs)
			f.set(func() { f.synced, f.absent, f.broken, f.err, f.over = true, false, time.Time{}, nil, false })
			return page.GetResourceVersion(), nil
		}
	}
}

// watch takes changes until the server ends the watch, which is no error.
func (f *follower) watch(ctx context.Context, version string) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	opts := f.options
	opts.ResourceVersion, opts.AllowWatchBookmarks = version, true
	opts.TimeoutSeconds = new(int64(watchFor / time.Second))
	opened := time.Now()
	w, err := f.client.Watch(ctx, opts)
	if err != nil {
		return "", err
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case event, ok := <-w.ResultChan():
			if !ok && time.Since(opened) < time.Second {
				return "", errDropped
			}
			if !ok {
				return version, nil
			}
			obj, isObject := event.Object.(*unstructured.Unstructured)
			if event.Type == watch.Error || !isObject {
				return "", fmt.Errorf("watch: %w", apierrors.FromObject(event.Object))
			}
			version = obj.GetResourceVersion()
			switch event.Type {
			case watch.Added, watch.Modified:
				if f.take.put(obj) > f.limit {
					return "", f.overflow()
				}
			case watch.Deleted:
				f.take.remove(obj)
			case watch.Bookmark, watch.Error:
			}
		}
	}
}

func (f *follower) overflow() error {
	f.set(func() { f.over = true })
	return fmt.Errorf("there are more than %d", f.limit)
}

func (f *follower) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// gone: the resource does not exist, so there are no objects.
func (f *follower) gone() {
	f.set(func() { f.synced, f.absent, f.over = true, true, false })
}

func (f *follower) failed(err error) {
	f.set(func() {
		if f.absent && apierrors.IsNotFound(err) {
			f.broken, f.err = time.Time{}, nil
			return
		}
		f.absent = f.absent && !f.synced
		if f.broken.IsZero() {
			f.broken = time.Now()
		}
		f.err = err
	})
}

// current is nil while what was taken is what there is.
func (f *follower) current(now time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.over:
		return fmt.Errorf("%s: there are more than %d", f.name, f.limit)
	case !f.synced && f.err != nil:
		return fmt.Errorf("%s: not read yet: %w", f.name, f.err)
	case !f.synced:
		return fmt.Errorf("%s: not read yet", f.name)
	case !f.broken.IsZero() && now.Sub(f.broken) > StaleAfter:
		return fmt.Errorf("%s: not followed since %s: %w", f.name, f.broken.UTC().Format(time.RFC3339), f.err)
	}
	return nil
}

func (f *follower) isAbsent() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.absent
}
