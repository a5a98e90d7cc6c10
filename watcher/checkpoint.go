package watcher

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/convert"
	"github.com/rightsizer/rightsizer/watcher/usage"
)

// Checkpoints keep the sketches over a restart, in ConfigMaps of the operator's
// namespace. The number of shards is fixed, so that an entry is in one of them and
// never counts twice.
const (
	checkpointShards = 32
	// checkpointBytes is below what etcd takes (1.5 MiB) and a ConfigMap may hold
	// (1 MiB).
	checkpointBytes = 900 << 10
	// checkpointSketches is how many bytes of sketches fit into all shards:
	// encoded, an entry takes at most three quarters of what it does in memory, and a
	// shard may have an eighth more of them than the others.
	checkpointSketches = 32 << 20
	checkpointEvery    = 15 * time.Minute
	checkpointLabel    = "rightsizer.dev/usage-checkpoint"
	checkpointKey      = "sketches"
	// checkpointWait bounds what restoring may hold up at the start, and writing at
	// the end.
	checkpointWait = 10 * time.Second
	// checkpointRetry is how soon a restore that failed is tried again.
	checkpointRetry = 30 * time.Second
)

// checkpoints writes and restores them; all but restored and the counts belong to one
// goroutine at a time.
type checkpoints struct {
	namespace string
	// restored says that what was kept is in the book: only then may it be written.
	restored atomic.Bool
	// read is how far restoring came, so that what is in the book is not merged into
	// it again.
	read    restoring
	written [checkpointShards]uint64 // hash of what is in the cluster; 0 is unknown

	mu                               sync.Mutex
	line                             line
	entries                          int
	corrupt, writes, failed, tooLong uint64
}

// restoring is an attempt to restore, which may take several goes.
type restoring struct {
	// shards are how many were gone through, from the first.
	shards         int
	count, corrupt int
}

func checkpointName(shard int) string { return fmt.Sprintf("rightsizer-usage-%02d", shard) }

// restoreWithin restores where anything is kept, and gives up after a while.
func (w *Watcher) restoreWithin(ctx context.Context) {
	if w.usage.checkpoints.namespace == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkpointWait)
	defer cancel()
	w.restore(ctx)
}

// restore reads what is kept into the book; tried again, it goes on where it failed.
func (w *Watcher) restore(ctx context.Context) {
	c := &w.usage.checkpoints
	for r := &c.read; r.shards < checkpointShards; r.shards++ {
		held := &corev1.ConfigMap{}
		err := w.api.page(ctx, w.checkpointPath(r.shards), metav1.ListOptions{}, held)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			c.say(w.opts.Clock.Now(), healthDegraded, "what was measured before cannot be read: "+explain(err))
			return
		}
		n, err := w.usage.book.Restore(held.BinaryData[checkpointKey])
		if err != nil {
			r.corrupt++
			w.opts.Logger.Error("checkpoint cannot be read and is left out", slog.String("name", held.Name), slog.String("cause", convert.Text(err.Error(), 512)))
			continue
		}
		r.count += n
		c.written[r.shards] = hashOf(held.BinaryData[checkpointKey])
	}
	count, corrupt := c.read.count, c.read.corrupt
	c.restored.Store(true)
	c.mu.Lock()
	c.entries, c.corrupt = count, c.corrupt+uint64(corrupt)
	c.mu.Unlock()
	if corrupt > 0 {
		c.say(w.opts.Clock.Now(), healthDegraded, fmt.Sprintf("%d of %d shards cannot be read, the log names them; they are written anew", corrupt, checkpointShards))
	} else {
		c.say(w.opts.Clock.Now(), healthOK, "")
	}
	w.opts.Logger.Info("usage restored", slog.Int("containers", count), slog.Int("corrupt_shards", corrupt))
}

// writeCheckpoints writes the shards that changed.
func (w *Watcher) writeCheckpoints(ctx context.Context) {
	c := &w.usage.checkpoints
	var errs []error
	for shard := range checkpointShards {
		raw := w.usage.book.Snapshot(shard, checkpointShards)
		hash := hashOf(raw)
		if hash == c.written[shard] {
			continue
		}
		if len(raw) > checkpointBytes {
			c.count(func() { c.tooLong++ })
			errs = append(errs, fmt.Errorf("shard %d has %d bytes, at most %d are written: lower --usage-sketch-bytes", shard, len(raw), checkpointBytes))
			continue
		}
		if err := w.writeCheckpoint(ctx, shard, raw); err != nil {
			c.count(func() { c.failed++ })
			errs = append(errs, err)
			if ctx.Err() != nil {
				break
			}
			continue
		}
		c.written[shard] = hash
		c.count(func() { c.writes++ })
	}
	if err := errors.Join(errs...); err != nil {
		c.say(w.opts.Clock.Now(), healthDegraded, "not all of what is measured is kept: "+explain(errs[0]))
		w.opts.Logger.Warn("checkpoints are not all written", slog.Int("failed", len(errs)), slog.String("cause", convert.Text(errs[0].Error(), 512)))
		return
	}
	c.say(w.opts.Clock.Now(), healthOK, "")
}

func (w *Watcher) checkpointPath(shard int) string {
	return "/api/v1/namespaces/" + w.usage.checkpoints.namespace + "/configmaps/" + checkpointName(shard)
}

// writeCheckpoint replaces a shard, made where there is none. What another wrote is
// of no use to us: only the leader writes.
func (w *Watcher) writeCheckpoint(ctx context.Context, shard int, raw []byte) error {
	namespace := w.usage.checkpoints.namespace
	held := &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: checkpointName(shard),
			Labels: map[string]string{checkpointLabel: "true", "app.kubernetes.io/managed-by": "rightsizer"},
		},
		BinaryData: map[string][]byte{checkpointKey: raw},
	}
	err := w.api.write(ctx, http.MethodPut, w.checkpointPath(shard), held)
	if apierrors.IsNotFound(err) {
		err = w.api.write(ctx, http.MethodPost, "/api/v1/namespaces/"+namespace+"/configmaps", held)
	}
	return err
}

// settled says that nothing that was kept comes into the book any more.
func (c *checkpoints) settled() bool { return c.namespace == "" || c.restored.Load() }

func (c *checkpoints) say(now time.Time, state rightsizerv1.HealthState, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line.set(now, state, reason)
}

func (c *checkpoints) count(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// forgetBook empties the book.
func (m *measured) forgetBook() {
	var keys []usage.Key
	m.book.Range(func(k usage.Key, _ *usage.Sketch) bool {
		keys = append(keys, k)
		return true
	})
	for _, k := range keys {
		m.book.Forget(k)
	}
}

func hashOf(raw []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(raw)
	return h.Sum64()
}
