package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/detect"
)

// Options configure Replay. Publisher is required; every other zero value means
// its default.
type Options struct {
	// Publisher takes what the watcher says, on the goroutine of Replay.
	Publisher watcher.Publisher
	// Thresholds of the detectors. Default: detect.DefaultThresholds.
	Thresholds detect.Thresholds
	// Logger is where the watcher logs what it cannot understand. Default:
	// nowhere.
	Logger *slog.Logger
	// Registerer takes the watcher's metrics. Default: none are registered.
	Registerer prometheus.Registerer
	// Told takes each line that is not played, or not as it is, and why.
	// Default: they are counted alone.
	Told func(*LineError)
}

// Result is what a replay came to.
type Result struct {
	Header Header
	// Lines are those after the header, Wrong those of them that were told.
	Lines, Wrong int
	// End is the time of the last line.
	End time.Time
	// Watcher holds the state at the end, for its reads; it cannot be run.
	Watcher *watcher.Watcher
}

// Replay plays a recording to its end. A line that cannot be read is told,
// counted and left out; an object that cannot be understood goes into the
// watcher's quarantine. The error is for a file that is no recording or cannot
// be read to its end, or for ctx; the Result holds what was played before.
func Replay(ctx context.Context, in *Reader, o Options) (*Result, error) {
	p := &player{
		in: in, told: o.Told, clock: clocktesting.NewFakeClock(in.Header().Time),
		lists: make(map[string]*list), known: make(map[string]bool),
	}
	for _, r := range watcher.Resources() {
		p.known[r.Name] = true
	}
	w, err := watcher.New(watcher.Options{
		// Never contacted.
		Config:    &rest.Config{Host: "http://recording.invalid"},
		Publisher: o.Publisher, ClusterID: in.Header().ClusterID,
		Thresholds: o.Thresholds, Logger: o.Logger, Registerer: o.Registerer, Clock: p.clock,
	})
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	p.result = &Result{Header: in.Header(), Watcher: w, End: in.Header().Time}
	if p.feed, err = w.Feed(); err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	return p.result, p.play(ctx)
}

// maxResources bounds the names that are remembered as told.
const maxResources = 1024

// player plays one recording.
type player struct {
	in     *Reader
	feed   *watcher.Feeder
	clock  *clocktesting.FakeClock
	told   func(*LineError)
	lists  map[string]*list
	result *Result
	// known says of a resource that this watcher reads it; one that it does not
	// read is told once and then there with false.
	known map[string]bool
}

// list is a list under way, in the order of the recording.
type list struct {
	objs  []runtime.Object
	index map[string]int // by name, of what is in objs; nil there is deleted
}

func (p *player) play(ctx context.Context) error {
	for ctx.Err() == nil {
		line, err := p.in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = p.take(&line)
		}
		var wrong *LineError
		switch {
		case err == nil:
			p.result.Lines++
		case errors.As(err, &wrong):
			p.result.Lines++
			p.result.Wrong++
			if p.told != nil {
				p.told(wrong)
			}
		default:
			return err
		}
	}
	return ctx.Err()
}

// take plays one line at its time.
func (p *player) take(line *Line) error {
	if line.Time.Before(p.clock.Now()) {
		// Played all the same, so that nothing is lost.
		if err := p.apply(line); err != nil {
			return p.in.wrong(err)
		}
		return p.in.wrong(fmt.Errorf("time %s is before that of an earlier line, %s; lines must be in the order of their times: played at the later one",
			line.Time.Format(time.RFC3339Nano), p.clock.Now().UTC().Format(time.RFC3339Nano)))
	}
	p.pass(line.Time)
	p.result.End = line.Time
	if err := p.apply(line); err != nil {
		return p.in.wrong(err)
	}
	return nil
}

// pass lets the time run to a moment, with all that happens on the way.
func (p *player) pass(to time.Time) {
	for {
		at, ok := p.feed.Deadline()
		if !ok || at.After(to) {
			break
		}
		if at.After(p.clock.Now()) {
			p.clock.SetTime(at)
		}
		p.feed.PassTime()
	}
	p.clock.SetTime(to)
}

func (p *player) apply(line *Line) error {
	reads, met := p.known[line.Resource]
	switch {
	case reads:
		return p.dispatch(line)
	case met:
		return nil // Told before.
	}
	if len(p.known) < maxResources {
		p.known[line.Resource] = false
	}
	return fmt.Errorf("%w: %s; its lines are left out", watcher.ErrUnknownResource, quote(line.Resource))
}

func (p *player) dispatch(line *Line) error {
	switch line.Type {
	case Relist:
		p.lists[line.Resource] = &list{index: make(map[string]int)}
		return nil
	case Synced:
		l := p.lists[line.Resource]
		if l == nil {
			return errors.New("SYNCED ends no list, wants RELIST before it")
		}
		delete(p.lists, line.Resource)
		return p.feed.List(line.Resource, l.all())
	case Error:
		status := &metav1.Status{}
		if err := json.Unmarshal(line.Object, status); err != nil {
			return fmt.Errorf("object of ERROR: %w; wants a Status", err)
		}
		return p.feed.Fail(line.Resource, status)
	case Bookmark:
		return p.feed.Change(line.Resource, watch.Bookmark, nil)
	case Added, Modified, Deleted:
	}
	obj, err := p.feed.Decode(line.Resource, line.Object)
	if err != nil {
		return err
	}
	if l := p.lists[line.Resource]; l != nil {
		return l.take(line.Type, obj)
	}
	return p.feed.Change(line.Resource, watch.EventType(line.Type), obj)
}

// take files an object of a list that streams; a server may send changes before
// the list's end.
func (l *list) take(change Type, obj runtime.Object) error {
	meta, ok := obj.(metav1.Object)
	if !ok {
		return errors.New("object has no metadata")
	}
	key := meta.GetNamespace() + "/" + meta.GetName()
	if change == Deleted {
		obj = nil
	}
	if at, known := l.index[key]; known {
		l.objs[at] = obj
		return nil
	}
	l.index[key] = len(l.objs)
	l.objs = append(l.objs, obj)
	return nil
}

func (l *list) all() []runtime.Object {
	out := make([]runtime.Object, 0, len(l.objs))
	for _, obj := range l.objs {
		if obj != nil {
			out = append(out, obj)
		}
	}
	return out
}
