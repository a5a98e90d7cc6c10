package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Verify checks the chain in the cluster against itself, against the heads given,
// against those that this process wrote, and against the directory where there is
// one, which is checked as well. It reads segment by segment; its error says that
// the chain could not be read, not that something is wrong with it.
func (l *Log) Verify(ctx context.Context, known ...*rightsizerv1.AuditHead) (*Report, error) {
	done, err := l.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	for _, h := range l.ownHeads() {
		known = append(known, h.proto())
	}
	var copied *Report
	if l.opts.Directory != "" {
		copied, err = VerifyDirectory(ctx, l.opts.Directory, known...)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("read the directory: %w", err)
		}
		if copied.GetHead() != nil {
			known = append(known, copied.Head)
		}
	}
	report, err := l.verifyCluster(ctx, known)
	if err != nil {
		return nil, fmt.Errorf("read the chain: %w", err)
	}
	report.join(copied)
	return report, nil
}

func (l *Log) ownHeads() []head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]head(nil), l.heads...)
}

// verifyCluster walks the cluster's chain; where the oldest segment is retired
// meanwhile it begins anew.
func (l *Log) verifyCluster(ctx context.Context, known []*rightsizerv1.AuditHead) (*Report, error) {
	for {
		c := newChecker(known)
		err := l.walk(ctx, 0, func(place, text string) error {
			c.line(place, text)
			return nil
		})
		if err == nil {
			return c.end(), nil
		}
		if !errors.Is(err, errGone) || ctx.Err() != nil {
			return nil, err
		}
	}
}

// GetHead is the last record, nil for that of no report.
func (r *Report) GetHead() *rightsizerv1.AuditHead {
	if r == nil {
		return nil
	}
	return r.Head
}

// Proto is the report as the API has it.
func (r *Report) Proto() *rightsizerv1.VerifyAuditResponse {
	return &rightsizerv1.VerifyAuditResponse{
		Valid: r.Valid(), Findings: r.Findings, FindingsOmitted: r.Omitted, Records: r.Records, FirstSequence: r.First, Head: r.Head,
	}
}

// join adds the findings of another place.
func (r *Report) join(other *Report) {
	if other == nil {
		return
	}
	r.Records += other.Records
	r.Omitted += other.Omitted
	for _, f := range other.Findings {
		r.add(f.GetSequence(), f.GetKind(), f.GetPlace(), f.GetMessage())
	}
	r.Faults += other.Faults
	for _, f := range other.Findings {
		if f.GetKind() != KindHeldElsewhere {
			r.Faults-- // add counted those that are listed
		}
	}
}

// tornPause is how long a last line may be incomplete because it is being written.
const tornPause = 100 * time.Millisecond

// VerifyDirectory checks a directory by itself, against the heads given. It needs
// no cluster. os.ErrNotExist is its error where there is no directory.
func VerifyDirectory(ctx context.Context, path string, known ...*rightsizerv1.AuditHead) (*Report, error) {
	report, torn, err := verifyFiles(ctx, path, known)
	if err != nil || !torn {
		return report, err
	}
	timer := time.NewTimer(tornPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	report, _, err = verifyFiles(ctx, path, known)
	return report, err
}

func verifyFiles(ctx context.Context, path string, known []*rightsizerv1.AuditHead) (report *Report, torn bool, err error) {
	names, err := auditFiles(path)
	if err != nil {
		return nil, false, err
	}
	c := newChecker(known)
	for i, name := range names {
		n := 0
		err := eachFileLine(filepath.Join(path, name), func(text string, _ int64, complete bool) error {
			n++
			place := fmt.Sprintf("%s:%d", filepath.Join(path, name), n)
			if !complete && i == len(names)-1 {
				torn = true
				c.report.add(c.last.sequence+1, KindTorn, place, "the last line is incomplete: a write was cut off; the operator mends it when it opens the directory")
				return ctx.Err()
			}
			c.line(place, text)
			return ctx.Err()
		})
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", name, err)
		}
	}
	return c.end(), torn, nil
}

func eachFileLine(path string, visit func(text string, length int64, complete bool) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return eachLine(file, visit)
}
