package audit

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// retire lets go of the oldest segments and files beyond their bounds, each after
// a record that takes down its end. What fails is tried again after the next
// append: nothing depends on it but room.
func (l *Log) retire(ctx context.Context) {
	for l.tail.number > 0 && l.tail.number-l.tail.first >= l.opts.maxSegments {
		if err := l.retireSegment(ctx); err != nil {
			l.logger.WarnContext(ctx, "an old audit segment could not be let go of", slog.String("segment", segmentName(l.tail.first)), slog.Any("error", err))
			return
		}
	}
	for l.directory != nil && l.directory.ready() {
		again, err := l.retireFile(ctx)
		if err != nil {
			l.logger.WarnContext(ctx, "an old audit file could not be let go of", slog.Any("error", err))
		}
		if !again || err != nil {
			return
		}
	}
}

func (l *Log) retireSegment(ctx context.Context) error {
	segment, err := l.cluster.get(ctx, l.tail.first)
	if apierrors.IsNotFound(err) {
		l.tail.first++ // another replica was first
		return nil
	}
	if err != nil {
		return err
	}
	end := endOf(segment)
	err = l.keep(ctx, []*rightsizerv1.AuditRecord{l.retirement(actionRetired, segment.Name, firstOf(segment), end,
		fmt.Sprintf("at most %d segments are kept", l.opts.maxSegments))})
	if err != nil {
		return err
	}
	l.logger.InfoContext(ctx, "audit segment let go of", slog.String("segment", segment.Name),
		slog.Int64("last_sequence", end.sequence), slog.String("hash", end.hash))
	if err := l.cluster.remove(ctx, segment); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	l.metrics.retired.Inc()
	l.tail.first++
	return nil
}

// retireFile lets go of the directory's oldest file; false when all may stay.
func (l *Log) retireFile(ctx context.Context) (bool, error) {
	name, end, over, err := l.directory.oldest()
	if err != nil || !over {
		return false, err
	}
	first, _ := fileSequence(name)
	err = l.keep(ctx, []*rightsizerv1.AuditRecord{l.retirement(actionCopyRetired, name, first, end,
		fmt.Sprintf("at most %d files are kept", l.opts.maxFiles))})
	if err != nil {
		return false, err
	}
	return true, l.directory.remove(name)
}

// retirement is the record that takes down the end of what is let go of.
func (l *Log) retirement(action, part string, first int64, end head, reason string) *rightsizerv1.AuditRecord {
	return &rightsizerv1.AuditRecord{
		Actor: "rightsizer", Action: action, Reason: reason, Replica: l.opts.Replica,
		Evidence: map[string]string{
			evidencePart: part, evidenceFirst: strconv.FormatInt(first, 10),
			evidenceLast: strconv.FormatInt(end.sequence, 10), evidenceHead: end.hash,
		},
	}
}

// firstOf is the number of the first record that a segment names.
func firstOf(segment *corev1.ConfigMap) int64 {
	for _, at := range lines(segment) {
		if record, _ := parse(at.text); record != nil {
			return record.GetSequence()
		}
	}
	return 0
}
