package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// maxReaders bounds who reads the chain at a time: each holds a segment.
const maxReaders = 2

// ErrBusy says that as many read the chain already as may.
var ErrBusy = errors.New("the audit chain is being read by others")

// reading takes a reader's place.
func (l *Log) reading(ctx context.Context) (func(), error) {
	select {
	case l.readers <- struct{}{}:
		return func() { <-l.readers }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrBusy, ctx.Err())
	}
}

// Records visits records from the latest to the oldest, those before the given
// number alone where it is not 0, until visit returns false. Lines that cannot be
// read are left out: Verify tells of them. It holds one segment at a time; at most
// two read at a time, and whoever comes beyond that waits until ctx ends.
func (l *Log) Records(ctx context.Context, before int64, visit func(*rightsizerv1.AuditRecord) bool) error {
	done, err := l.reading(ctx)
	if err != nil {
		return err
	}
	defer done()
	numbers, err := l.cluster.numbers(ctx)
	if err != nil {
		return fmt.Errorf("list the audit segments: %w", err)
	}
	for _, number := range slices.Backward(numbers) {
		segment, err := l.cluster.get(ctx, number)
		if apierrors.IsNotFound(err) {
			continue // retired meanwhile
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", segmentName(number), err)
		}
		for _, at := range slices.Backward(lines(segment)) {
			record, err := parse(at.text)
			if err != nil || before > 0 && record.GetSequence() >= before {
				continue
			}
			if !visit(record) {
				return nil
			}
		}
	}
	return nil
}

// walk visits the stored lines of the cluster in the order of the chain, leaving
// out segments that hold nothing after a number.
func (l *Log) walk(ctx context.Context, after int64, visit func(place, text string) error) error {
	numbers, err := l.cluster.numbers(ctx)
	if err != nil {
		return err
	}
	start, segment, err := l.startOf(ctx, numbers, after)
	if err != nil {
		return err
	}
	for _, number := range numbers[start:] {
		if segment == nil || segment.Name != segmentName(number) {
			if segment, err = l.cluster.get(ctx, number); apierrors.IsNotFound(err) {
				return fmt.Errorf("%s: %w", segmentName(number), errGone)
			} else if err != nil {
				return err
			}
		}
		for _, at := range lines(segment) {
			if err := visit(at.place, at.text); err != nil {
				return err
			}
		}
	}
	return nil
}

// startOf finds the segment to begin with: the last that begins at or before the
// record after `after`. It looks from the end, where that nearly always is.
func (l *Log) startOf(ctx context.Context, numbers []int64, after int64) (int, *corev1.ConfigMap, error) {
	if after == 0 {
		return 0, nil, nil
	}
	for i, number := range slices.Backward(numbers) {
		segment, err := l.cluster.get(ctx, number)
		if apierrors.IsNotFound(err) {
			return i + 1, nil, nil // retired meanwhile, and all before it
		}
		if err != nil {
			return 0, nil, err
		}
		for key := range segment.Data {
			if strings.Compare(key, segmentKey(after+1)) <= 0 {
				return i, segment, nil
			}
		}
	}
	return 0, nil, nil
}
