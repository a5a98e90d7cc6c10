package watcher

import (
	"context"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"

	"github.com/rightsizer/rightsizer/watcher/convert"
)

// calm is how long a reflector must have been at work for its pauses to begin anew.
const calm = 2 * time.Minute

// reflect lists and watches into a store until ctx is done. It is a reflector's own
// loop but for what that does with an error: it goes through one handler for the
// whole process, which sleeps, and which logs as an error that a watch was stopped.
func (w *Watcher) reflect(ctx context.Context, c *conn, store cache.ReflectorStore) {
	defer c.join()
	logger := logr.FromSlogHandler(w.opts.Logger.Handler())
	// Between two lists, when one follows the other. conn waits by itself while the
	// server cannot be reached.
	pauses := wait.Backoff{Duration: retryMin, Factor: 2, Jitter: 0.25, Cap: w.opts.RetryMax, Steps: 20}
	own := pauses
	r := cache.NewReflectorWithOptions(c, c.res.expected, store, cache.ReflectorOptions{
		Logger: &logger, Name: "watcher/" + c.res.name, Clock: w.opts.Clock, Backoff: &own,
	})
	_ = pauses.DelayWithReset(w.opts.Clock, calm).Until(ctx, true, true, func(ctx context.Context) (bool, error) { // ends with ctx alone
		if err := r.ListAndWatchWithContext(ctx); err != nil && ctx.Err() == nil && !expired(err) {
			w.opts.Logger.Warn("list failed, begun anew", slog.String("resource", c.res.name), slog.String("cause", convert.Text(err.Error(), 512)))
		}
		return false, nil
	})
}
