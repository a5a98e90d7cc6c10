package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Bounds of the segments, as doc.go states them.
const (
	closeAt     = 64 << 10
	maxSegments = 512
	// maxListed bounds a list of segments that somebody else made.
	maxListed = 4 * maxSegments
	// maxWalk bounds how many segments of other replicas are walked over to find
	// the end; farther away it is looked for by a list.
	maxWalk = 8
)

// Bounds of an attempt to append.
const (
	commitWithin = 8 * time.Second
	firstPause   = 20 * time.Millisecond
	longestPause = time.Second
)

// tail is where the chain in the cluster ends, as far as this replica knows. It
// belongs to the goroutine of Run.
type tail struct {
	// first and number are the oldest segment's and the newest's; 0 where there
	// is none.
	first, number int64
	// version is the newest segment's, empty where it takes no more records.
	version string
	bytes   int
	end     head
	time    time.Time
	// known is false when the cluster must be asked before the next append.
	known bool
}

// commit appends the records to the chain in the cluster and returns their lines.
// After an answer that got lost it looks whether the records are there, so that
// none is ever written twice.
func (l *Log) commit(ctx context.Context, records []*rightsizerv1.AuditRecord) ([]line, error) {
	pause := firstPause
	var tried []line
	var failure error
	for {
		if !l.tail.known {
			if err := l.reload(ctx, tried); err != nil {
				failure = errors.Join(failure, err)
				if !worthwhile(err) || !wait(ctx, &pause) {
					return nil, fmt.Errorf("read the chain's end: %w", failure)
				}
				failure = err
				continue
			}
			if n := len(tried); n > 0 && l.committed == tried[n-1].head {
				return tried, nil // the answer got lost, the records did not
			}
		}
		lines, err := l.next(records)
		if err != nil {
			return nil, err
		}
		if err = l.write(ctx, lines); err == nil {
			return lines, nil
		}
		l.tail.known, tried, failure = false, lines, err
		if again := apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err); again {
			l.metrics.conflicts.Inc() // another replica was first: look again at once
		} else if l.tail.version != "" && gone(err) {
			// nothing more goes into that segment
		} else if !worthwhile(err) {
			return nil, fmt.Errorf("append to %s: %w", segmentName(max(l.tail.number, 1)), err)
		} else if !wait(ctx, &pause) {
			return nil, late(err)
		}
		if ctx.Err() != nil {
			return nil, late(err)
		}
	}
}

// late words an attempt whose time is over.
func late(err error) error {
	return fmt.Errorf("no append succeeded within %s: %w", commitWithin, err)
}

// worthwhile says whether trying again may help: the server does not answer, or
// asks to come back. Refusals are final until somebody changes something.
func worthwhile(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return true // no answer
	}
	return apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsUnexpectedServerError(err)
}

// gone says that the segment is not there, or takes no more records.
func gone(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsInvalid(err) }

// wait pauses before another attempt; false when there is no time for it.
func wait(ctx context.Context, pause *time.Duration) bool {
	timer := time.NewTimer(*pause)
	defer timer.Stop()
	*pause = min(2**pause, longestPause)
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// next makes the lines that follow the chain's end.
func (l *Log) next(records []*rightsizerv1.AuditRecord) ([]line, error) {
	at := l.now()
	if at.Before(l.tail.time) {
		at = l.tail.time // another replica's clock is ahead
	}
	l.tail.time = at
	end, made := l.tail.end, make([]line, 0, len(records))
	for _, record := range records {
		record.Time = timestamppb.New(at)
		next, err := chain(end, record)
		if err != nil {
			return nil, err
		}
		made, end = append(made, next), next.head
	}
	return made, nil
}

// write sends the lines in one request.
func (l *Log) write(ctx context.Context, lines []line) error {
	var text strings.Builder
	for _, next := range lines {
		text.WriteString(next.text + "\n")
	}
	t := &l.tail
	number, bytes := t.number, t.bytes+text.Len()
	fresh := t.version == ""
	if fresh {
		number, bytes = t.number+1, text.Len()
	}
	closed := bytes >= l.opts.closeAt
	var version string
	var err error
	if fresh {
		version, err = l.cluster.create(ctx, number, segmentKey(lines[0].sequence), text.String(), closed)
	} else {
		version, err = l.cluster.add(ctx, number, t.version, segmentKey(lines[0].sequence), text.String(), closed)
	}
	if err != nil {
		return err
	}
	if closed {
		version = ""
	}
	t.number, t.version, t.bytes, t.end = number, version, bytes, lines[len(lines)-1].head
	if t.first == 0 {
		t.first = number
	}
	l.committed = t.end
	l.remember(t.end)
	l.logger.InfoContext(ctx, "audit head", slog.Int64("sequence", t.end.sequence), slog.String("hash", t.end.hash), slog.String("segment", segmentName(number)))
	return nil
}

// reload finds the chain's end in the cluster. Where the cluster holds less than
// this process knows to have been written, or other records in their place, the
// chain goes on from what is known, so that Verify shows it.
//
// tried are the lines of an append whose outcome is not known; committed tells.
func (l *Log) reload(ctx context.Context, tried []line) error {
	number := l.tail.number
	if number == 0 {
		numbers, err := l.cluster.numbers(ctx)
		if err != nil {
			return err
		}
		if len(numbers) == 0 {
			return l.found(ctx, nil)
		}
		l.tail.first, number = numbers[0], numbers[len(numbers)-1]
	}
	var newest *corev1.ConfigMap
	for range maxWalk {
		segment, err := l.cluster.get(ctx, number)
		switch {
		case apierrors.IsNotFound(err) && newest == nil && l.tail.number > 0:
			return l.lookAfresh(ctx, tried)
		case apierrors.IsNotFound(err) && newest != nil:
			return l.found(ctx, newest)
		case err != nil:
			return err
		}
		newest = segment
		l.settle(segment, tried)
		if !isClosed(segment) {
			return l.found(ctx, newest)
		}
		number++
	}
	l.tail.number = 0 // far behind: list
	return l.reload(ctx, tried)
}

// lookAfresh lists after the newest known segment was gone.
func (l *Log) lookAfresh(ctx context.Context, tried []line) error {
	lost := l.tail.number
	numbers, err := l.cluster.numbers(ctx)
	if err != nil {
		return err
	}
	if len(numbers) == 0 || numbers[len(numbers)-1] < lost {
		l.logger.ErrorContext(ctx, "audit segments are gone; the chain goes on from what is known", slog.String("segment", segmentName(lost)),
			slog.Int64("sequence", l.tail.end.sequence), slog.String("hash", l.tail.end.hash))
		l.metrics.tampered.Inc()
		// A number is not used again: what is gone stays visible.
		l.tail.version, l.tail.bytes, l.tail.known = "", 0, true
		if len(numbers) == 0 {
			l.tail.first = 0
		}
		return nil
	}
	l.tail.number = 0
	return l.reload(ctx, tried)
}

// settle notes whether the lines whose outcome is not known are in the segment.
func (l *Log) settle(segment *corev1.ConfigMap, tried []line) {
	if len(tried) == 0 {
		return
	}
	last := tried[len(tried)-1]
	for _, at := range lines(segment) {
		if at.text == last.text {
			l.committed = last.head
			l.remember(last.head)
			return
		}
	}
}

// found takes the newest segment, nil where there is none, as the end.
func (l *Log) found(ctx context.Context, segment *corev1.ConfigMap) error {
	t, known := &l.tail, l.lastKnown()
	t.version, t.bytes, t.known = "", 0, true
	t.end = known
	if segment == nil {
		t.first, t.number = 0, max(t.number, 0)
		return nil
	}
	number, ok := segmentNumber(segment.Name)
	if !ok {
		return fmt.Errorf("the server answered with segment %q", segment.Name)
	}
	t.number = number
	if t.first == 0 {
		t.first = number
	}
	// One that somebody stuffed takes no more records, or none would ever fit.
	if bytes := weight(segment); !isClosed(segment) && bytes < l.opts.closeAt {
		t.version, t.bytes = segment.ResourceVersion, bytes
	}
	end := endOf(segment)
	for _, at := range lines(segment) {
		if record, _ := parse(at.text); record != nil {
			if record.GetSequence() == end.sequence {
				t.time = later(t.time, record.GetTime().AsTime())
			}
			if record.GetSequence() == known.sequence && record.GetHash() != known.hash {
				end = head{} // what stands there is not what this process wrote
				break
			}
		}
	}
	switch {
	case end.sequence >= known.sequence && end.sequence > 0:
		t.end = end
	case known.sequence > 0:
		l.logger.ErrorContext(ctx, "the audit chain in the cluster is not what was written; it goes on from what is known",
			slog.String("segment", segment.Name), slog.Int64("sequence", known.sequence), slog.String("hash", known.hash))
		l.metrics.tampered.Inc()
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
