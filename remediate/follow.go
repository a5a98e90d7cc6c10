package remediate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Bounds of following the Remediations.
const (
	listPage  = 200
	watchFor  = 5 * time.Minute
	pauseMin  = 100 * time.Millisecond
	pauseMax  = 10 * time.Second
	listGrace = 30 * time.Second
)

// run follows the Remediations until ctx ends.
func (b *book) run(ctx context.Context) {
	pause := pauseMin
	for ctx.Err() == nil {
		opened := time.Now()
		err := b.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		b.failed(ctx, err)
		if time.Since(opened) > watchFor/5 {
			pause = pauseMin
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2+1)) //nolint:gosec // jitter, no secret
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
		pause = min(2*pause, pauseMax)
	}
}

func (b *book) failed(ctx context.Context, err error) {
	b.mu.Lock()
	absent := apierrors.IsNotFound(err)
	if absent { // without the CRDs there are no Remediations
		b.synced, b.broken, b.err = true, time.Time{}, nil
		b.mu.Unlock()
		return
	}
	first := b.broken.IsZero()
	if first {
		b.broken = b.e.now()
	}
	b.err = err
	b.mu.Unlock()
	if first {
		b.e.logger.WarnContext(ctx, "remediations are not followed", slog.Any("error", err))
	}
}

func (b *book) follow(ctx context.Context) error {
	version, err := b.list(ctx)
	if err != nil {
		return err
	}
	for {
		if version, err = b.watch(ctx, version); err != nil {
			return err
		}
	}
}

func (b *book) list(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, listGrace)
	defer cancel()
	present := map[objectKey]bool{}
	opts := metav1.ListOptions{Limit: listPage}
	for {
		page, err := b.e.client.ListRemediations(ctx, opts)
		if err != nil {
			return "", err
		}
		for i := range page.Items {
			r := &page.Items[i]
			present[objectKey{r.Namespace, r.Name}] = true
			b.see(r)
		}
		if opts.Continue = page.Continue; opts.Continue == "" {
			b.forgetOthers(present)
			return page.ResourceVersion, nil
		}
	}
}

func (b *book) forgetOthers(present map[objectKey]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, h := range b.items {
		if !present[key] {
			b.unlink(h)
			b.e.resting.end(key)
		}
	}
	b.e.words.keep(func(key objectKey) bool { return b.items[key] != nil })
	b.synced, b.broken, b.err = true, time.Time{}, nil
}

var errDropped = errors.New("the API server ended the watch at once")

func (b *book) watch(ctx context.Context, version string) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	opened := time.Now()
	w, err := b.e.client.WatchRemediations(ctx, metav1.ListOptions{
		ResourceVersion: version, AllowWatchBookmarks: true, TimeoutSeconds: new(int64(watchFor / time.Second)),
	})
	if err != nil {
		return "", err
	}
	defer w.Stop()
	for {
		var event watch.Event
		var ok bool
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case event, ok = <-w.ResultChan():
		}
		if !ok && time.Since(opened) < time.Second {
			return "", errDropped
		}
		if !ok {
			return version, nil
		}
		r, is := event.Object.(*v1alpha1.Remediation)
		if event.Type == watch.Error || !is {
			return "", fmt.Errorf("watch remediations: %w", apierrors.FromObject(event.Object))
		}
		version = r.ResourceVersion
		switch event.Type {
		case watch.Added, watch.Modified:
			b.see(r)
		case watch.Deleted:
			b.remove(objectKey{r.Namespace, r.Name})
		case watch.Bookmark, watch.Error:
		}
	}
}

// see takes what the watch shows. What somebody else wrote of an open one is worked
// on: a decision of a person, for example.
func (b *book) see(r *v1alpha1.Remediation) {
	r.ManagedFields = nil
	if b.put(r) && (plan.Open(r.Status.State) || rollbackAsked(r) != "") {
		b.e.waiting.add(workloadOf(r))
	}
}
