// Package follow reads files whose contents change while the operator runs:
// certificates, authorities, tokens. What cannot be used is refused, told, and
// leaves what is in force.
//
// It watches the folders, not the files: Kubernetes mounts a Secret as links into
// a folder that it swaps as a whole. Without notices of changes, and for links out
// of those folders, the files are read once a minute.
package follow

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long the folders must be quiet before the files are read:
	// files that belong together are written one after the other.
	settle = 200 * time.Millisecond
	// recheck is how often the files are read without a notice.
	recheck = time.Minute
)

// Options say what to follow.
type Options[T any] struct {
	// Paths are the files, read together.
	Paths []string
	// What they are, for the log: "certificate".
	What string
	// Parse makes of their contents, in the order of Paths, what is used.
	Parse func(contents [][]byte) (T, error)
	// Changed is told of each change after the first reading: with nil that it is
	// in force, else why it was refused. Optional.
	Changed func(now T, err error)
	// Logger is where to tell it. Required.
	Logger *slog.Logger
}

// Files are files that are followed. Current may be called by anybody; Run belongs
// to one goroutine.
type Files[T any] struct {
	opts    Options[T]
	current atomic.Pointer[T]
	refused atomic.Pointer[Refusal]
	seen    [sha256.Size]byte // hash of the bytes read last; Run's goroutine alone touches it
}

// New reads the files, which must be usable now.
func New[T any](opts Options[T]) (*Files[T], error) {
	f := &Files[T]{opts: opts}
	made, seen, err := f.read()
	if err != nil {
		return nil, err
	}
	f.current.Store(&made)
	f.seen = seen
	return f, nil
}

// Current is what is in force.
func (f *Files[T]) Current() T { return *f.current.Load() }

// Refusal is why files that changed are not in force.
type Refusal struct {
	// Since is when that was found.
	Since time.Time
	// Why says what is wrong with them.
	Why error
}

// Refused is why the files as they are now are not in force, and the former ones
// are; nil where they are.
func (f *Files[T]) Refused() *Refusal { return f.refused.Load() }

// Run follows the files until ctx ends.
func (f *Files[T]) Run(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		f.opts.Logger.WarnContext(ctx, "files are only read once a minute: no notices of changes",
			slog.String("of", f.opts.What), slog.Any("error", err))
		return f.poll(ctx, nil, nil)
	}
	defer func() { _ = watcher.Close() }()
	for _, path := range f.opts.Paths {
		if err := watcher.Add(filepath.Dir(path)); err != nil {
			f.opts.Logger.WarnContext(ctx, "a folder cannot be watched; its files are read once a minute",
				slog.String("of", f.opts.What), slog.String("folder", filepath.Dir(path)), slog.Any("error", err))
		}
	}
	f.check(ctx) // what changed between New and now
	return f.poll(ctx, watcher.Events, watcher.Errors)
}

func (f *Files[T]) poll(ctx context.Context, changes <-chan fsnotify.Event, failures <-chan error) error {
	quiet := time.NewTimer(settle)
	quiet.Stop()
	defer quiet.Stop()
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
			quiet.Reset(settle)
		case err := <-failures:
			f.opts.Logger.WarnContext(ctx, "a notice of changed files was lost", slog.String("of", f.opts.What), slog.Any("error", err))
			quiet.Reset(settle)
		case <-quiet.C:
			f.check(ctx)
		case <-tick.C:
			f.check(ctx)
		}
	}
}

// check reads the files and takes them where they are new and usable.
func (f *Files[T]) check(ctx context.Context) {
	made, seen, err := f.read()
	if seen == f.seen {
		return
	}
	f.seen = seen
	if err != nil {
		f.opts.Logger.ErrorContext(ctx, "changed files are refused; the former ones stay in force",
			slog.String("of", f.opts.What), slog.Any("error", err))
		f.refused.Store(&Refusal{Since: time.Now(), Why: err})
	} else {
		f.current.Store(&made)
		f.refused.Store(nil)
	}
	if f.opts.Changed != nil {
		f.opts.Changed(made, err)
	}
}

// read reads all files. The hash is of what was read, usable or not, so that bad
// contents are told once and not at every notice.
func (f *Files[T]) read() (T, [sha256.Size]byte, error) {
	var none T
	var errs []error
	contents := make([][]byte, len(f.opts.Paths))
	for i, path := range f.opts.Paths {
		var err error
		if contents[i], err = os.ReadFile(path); err != nil {
			errs = append(errs, err)
		}
	}
	seen := sha256.Sum256(bytes.Join(contents, []byte{0}))
	if err := errors.Join(errs...); err != nil {
		return none, seen, fmt.Errorf("read the %s: %w", f.opts.What, err)
	}
	made, err := f.opts.Parse(contents)
	return made, seen, err
}
