package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"buf.build/go/protovalidate"
	"k8s.io/client-go/rest"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/replay"
)

// ReplayOptions say what to replay.
type ReplayOptions struct {
	// Name of the recording in errors; Source is its content, gzipped or not.
	Name   string
	Source io.Reader
	// Filter chooses events; nil is all.
	Filter *rightsizerv1.EventFilter
	// Logger is where the watcher logs what it cannot understand.
	Logger *slog.Logger
	// Yield takes each event and resync marker in order.
	Yield func(*rightsizerv1.StreamEventsResponse) error
	// Told takes each line that is left out.
	Told func(error)
}

// Replayed is what a replay came to.
type Replayed struct {
	// Lines were read, Wrong of them left out.
	Lines, Wrong int
	// Source describes the recording; From and To are its times.
	Source   string
	From, To time.Time
}

// Replay plays a recording through the watcher and yields what it would have
// published, with the times and ids of then.
func Replay(ctx context.Context, o ReplayOptions) (Replayed, error) {
	if o.Filter == nil {
		o.Filter = &rightsizerv1.EventFilter{}
	}
	if err := protovalidate.Validate(o.Filter); err != nil {
		return Replayed{}, fmt.Errorf("filter: %w", err)
	}
	in, err := replay.NewReader(o.Name, o.Source)
	if err != nil {
		return Replayed{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	to := &yielder{filter: bus.Compile(o.Filter, bus.AllNamespaces()), yield: o.Yield, stop: cancel}
	result, err := replay.Replay(ctx, in, replay.Options{
		Publisher: to, Logger: o.Logger, Told: func(e *replay.LineError) { o.Told(e) },
	})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if result == nil {
		return Replayed{}, err
	}
	return Replayed{
		Lines: result.Lines, Wrong: result.Wrong, Source: result.Header.Source, From: result.Header.Time, To: result.End,
	}, err
}

// yielder is the watcher's Publisher.
type yielder struct {
	filter *bus.Filter
	yield  func(*rightsizerv1.StreamEventsResponse) error
	stop   context.CancelCauseFunc
	failed bool
}

// Publish implements watcher.Publisher.
func (y *yielder) Publish(e *rightsizerv1.Event) {
	y.take(&rightsizerv1.StreamEventsResponse{Message: &rightsizerv1.StreamEventsResponse_Event{Event: e}})
}

// PublishIncident implements watcher.Publisher.
func (y *yielder) PublishIncident(in *rightsizerv1.Incident) {
	y.take(&rightsizerv1.StreamEventsResponse{Message: &rightsizerv1.StreamEventsResponse_Incident{Incident: in}})
}

// Resync implements watcher.Publisher.
func (y *yielder) Resync(r *rightsizerv1.StreamResync) {
	y.take(&rightsizerv1.StreamEventsResponse{Message: &rightsizerv1.StreamEventsResponse_Resync{Resync: r}})
}

func (y *yielder) take(m *rightsizerv1.StreamEventsResponse) {
	if y.failed || !y.filter.MatchesMessage(m) {
		return
	}
	if err := y.yield(m); err != nil {
		y.failed = true
		y.stop(err)
	}
}

// RecordOptions say what to record.
type RecordOptions struct {
	// Source describes the recording for people.
	Source string
	// MaxBytes bounds it before compression; 0 is the default.
	MaxBytes int64
	Gzip     bool
	Logger   *slog.Logger
}

// Record writes what the operator would read of the cluster until ctx ends. It
// returns the number of lines; full says that the bound was reached.
func Record(ctx context.Context, cluster *rest.Config, o RecordOptions, out io.Writer) (lines int, full bool, err error) {
	lines, err = replay.Record(ctx, cluster, replay.RecordOptions{
		Source: o.Source, MaxBytes: o.MaxBytes, Gzip: o.Gzip, Logger: o.Logger,
	}, out)
	if errors.Is(err, replay.ErrFull) {
		return lines, true, nil
	}
	return lines, false, err
}
