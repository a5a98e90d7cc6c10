package replay

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"k8s.io/client-go/rest"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher"
)

// RecordOptions configure Record; every zero value means its default.
type RecordOptions struct {
	// Source says for people what is recorded.
	Source string
	// Resources are the plurals to note. Default: all that a watcher reads.
	Resources []string
	// MaxBytes bounds the recording before it is compressed, from 1 KiB.
	// Default 256 MiB, some hours of a cluster with a hundred pods.
	MaxBytes int64
	// Gzip compresses.
	Gzip bool
	// Logger is where to log. Default: nowhere.
	Logger *slog.Logger
	// Now tells the time. Default: time.Now.
	Now func() time.Time
}

// Record runs a watcher against an API server and writes what it reads, until
// ctx is done, which is its success, or the bound is reached (ErrFull). It
// returns the number of lines after the header.
func Record(ctx context.Context, config *rest.Config, o RecordOptions, out io.Writer) (lines int, err error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = 256 << 20
	}
	if o.MaxBytes < 1<<10 {
		return 0, fmt.Errorf("record: MaxBytes is %d, must be at least 1024", o.MaxBytes)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	paths, err := pathsOf(o.Resources)
	if err != nil {
		return 0, err
	}
	if o.Gzip {
		zipped, err := gzip.NewWriterLevel(out, gzip.BestCompression)
		if err != nil {
			return 0, fmt.Errorf("record: %w", err)
		}
		defer func() {
			if lines > 0 { // Otherwise there is no file to end.
				err = errors.Join(err, zipped.Close())
			}
		}()
		out = zipped
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	to := &writer{out: out, max: o.MaxBytes, now: o.Now, stop: cancel, open: map[string]bool{}, failing: map[string]string{}}
	own := rest.CopyConfig(config)
	own.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &tap{next: next, paths: paths, out: to, ctx: ctx}
	})
	w, err := watcher.New(watcher.Options{Config: own, Publisher: nobody{}, Logger: o.Logger})
	if err != nil {
		return 0, fmt.Errorf("record: %w", err)
	}
	to.header = func() Header {
		return Header{ClusterID: w.ClusterID(), ServerVersion: w.Cluster().GetVersion(), Source: o.Source}
	}
	if err := w.Run(ctx); err != nil {
		return 0, fmt.Errorf("record: %w", err)
	}
	lines, err = to.end()
	if err != nil {
		return lines, fmt.Errorf("record: %w", err)
	}
	return lines, nil
}

// pathsOf finds the resources to note by the path of their requests.
func pathsOf(names []string) (map[string]watcher.Resource, error) {
	wanted := make(map[string]bool, len(names))
	for _, name := range names {
		wanted[name] = true
	}
	out := make(map[string]watcher.Resource)
	for _, r := range watcher.Resources() {
		if len(names) == 0 || wanted[r.Name] {
			out[r.Path] = r
			delete(wanted, r.Name)
		}
	}
	for name := range wanted {
		return nil, fmt.Errorf("record: %w: %s", watcher.ErrUnknownResource, quote(name))
	}
	return out, nil
}

// nobody listens.
type nobody struct{}

func (nobody) Publish(*rightsizerv1.Event)            {}
func (nobody) PublishIncident(*rightsizerv1.Incident) {}
func (nobody) Resync(*rightsizerv1.StreamResync)      {}
