package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strconv"
	"time"

	"connectrpc.com/connect"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"

	"github.com/rightsizer/rightsizer/server/text"
	"github.com/rightsizer/rightsizer/server/tunnel"
)

const (
	firstPause = 250 * time.Millisecond
	maxPause   = 10 * time.Second
	// remembered is how many event ids are known as printed: after a restart of
	// the operator what is still wrong is sent again with the same ids.
	remembered = 8192
)

// follower prints a stream and connects again where it breaks.
type follower struct {
	client rightsizerv1connect.EventServiceClient
	filter *rightsizerv1.EventFilter
	after  string
	out    *printer
	notes  io.Writer
	// wait pauses before another try and returns early when ctx ends.
	wait func(ctx context.Context, d time.Duration)

	seen  map[string]struct{}
	order []string
}

// run follows until ctx ends, which is success, or the server refuses for good.
func (f *follower) run(ctx context.Context) error {
	f.seen = map[string]struct{}{}
	delay := firstPause
	for {
		received, err := f.once(ctx)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the user ended it
		case errors.Is(err, errOutput), isFinal(err):
			return explain(err)
		}
		if received {
			delay = firstPause
		}
		f.note("the stream ended (%v); trying again", explain(err))
		f.wait(ctx, delay/2+rand.N(delay/2)) //nolint:gosec // spreads clients, protects nothing
		delay = min(2*delay, maxPause)
	}
}

// errOutput is a failure to print; another try would not mend it.
var errOutput = errors.New("cannot print")

// isFinal tells refusals that another try will not change.
func isFinal(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeInvalidArgument, connect.CodeUnauthenticated, connect.CodePermissionDenied,
		connect.CodeUnimplemented, connect.CodeNotFound, connect.CodeFailedPrecondition, connect.CodeOutOfRange:
		return err != nil
	default:
		return false
	}
}

// once reads one stream to its end and says whether anything came.
func (f *follower) once(ctx context.Context) (received bool, err error) {
	stream, err := f.client.StreamEvents(ctx, &rightsizerv1.StreamEventsRequest{Filter: f.filter, After: f.after})
	if err != nil {
		return false, err //nolint:wrapcheck // explain words it
	}
	defer func() { _ = stream.Close() }()
	for stream.Receive() {
		received = true
		message := stream.Msg()
		f.tell(message)
		if !f.isRepeated(message) {
			if err := f.out.print(message); err != nil {
				return received, errors.Join(errOutput, err)
			}
		}
		if position := message.GetPosition(); position != "" {
			f.after = position
		}
	}
	if err := stream.Err(); err != nil {
		return received, err //nolint:wrapcheck // explain words it
	}
	return received, io.EOF
}

// tell says on stderr what is not an event but must be known.
func (f *follower) tell(message *rightsizerv1.StreamEventsResponse) {
	switch m := message.GetMessage().(type) {
	case *rightsizerv1.StreamEventsResponse_Lost:
		f.note("lost %s", lostText(m.Lost))
	case *rightsizerv1.StreamEventsResponse_Resync:
		f.note("the operator did not see %s since %s: %s", m.Resync.GetScope(),
			m.Resync.GetSince().AsTime().Local().Format(time.TimeOnly), m.Resync.GetReason())
	case *rightsizerv1.StreamEventsResponse_Opened:
		if m.Opened.GetReset_() != nil && f.after != "" {
			f.note("the position is gone (%s); what is wrong now follows", m.Opened.GetReset_().GetReason())
		}
	case *rightsizerv1.StreamEventsResponse_Closing:
		f.note("the operator ends the stream: %s", m.Closing.GetReason())
	}
}

// lostText words a loss.
func lostText(lost *rightsizerv1.StreamLost) string {
	about := "about "
	switch lost.GetBound() {
	case rightsizerv1.LossBound_LOSS_BOUND_EXACT:
		about = ""
	case rightsizerv1.LossBound_LOSS_BOUND_AT_MOST:
		about = "at most "
	case rightsizerv1.LossBound_LOSS_BOUND_AT_LEAST:
		about = "at least "
	case rightsizerv1.LossBound_LOSS_BOUND_ESTIMATE, rightsizerv1.LossBound_LOSS_BOUND_UNSPECIFIED:
	}
	events := " events"
	if lost.GetCount() == 1 {
		events = " event"
	}
	return about + strconv.FormatInt(lost.GetCount(), 10) + events
}

func (f *follower) note(format string, args ...any) {
	// There is nowhere left to say that stderr is broken.
	_, _ = fmt.Fprintln(f.notes, "rightsizer: "+text.Escape(fmt.Sprintf(format, args...)))
}

// isRepeated tells an event that was printed already.
func (f *follower) isRepeated(message *rightsizerv1.StreamEventsResponse) bool {
	id := message.GetEvent().GetId()
	if id == "" {
		return false
	}
	if _, ok := f.seen[id]; ok {
		return true
	}
	f.seen[id] = struct{}{}
	f.order = append(f.order, id)
	if len(f.order) > remembered {
		delete(f.seen, f.order[0])
		f.order = f.order[1:]
	}
	return false
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// explain words an error for a person: what the server said without its code,
// or what to look at when there is no server.
func explain(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("closed by the operator")
	}
	text := err.Error()
	var at *url.Error
	var coded *connect.Error
	way, inCluster := errors.AsType[*tunnel.Error](err)
	switch {
	case inCluster:
		text = way.Error()
	case errors.As(err, &at):
		text = "cannot reach the operator at " + hostOf(at.URL) + ": " + at.Err.Error()
	case errors.As(err, &coded):
		text = coded.Code().String() + ": " + coded.Message()
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		text += "; give --server-fingerprint or --server-ca-file"
	}
	if connect.CodeOf(err) == connect.CodeUnauthenticated {
		text += "; give --token-file, or through a cluster --service-account, for whom it makes a token"
	}
	return errors.New(text)
}

func hostOf(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.Host != "" {
		return u.Scheme + "://" + u.Host
	}
	return raw
}
