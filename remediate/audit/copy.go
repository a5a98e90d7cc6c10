package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// copyToDirectory writes the lines of an append to the directory; they follow what
// it holds, or what it lacks is copied first.
func (l *Log) copyToDirectory(ctx context.Context, lines []line) error {
	d := l.directory
	if !d.ready() || d.end.sequence+1 != lines[0].sequence {
		// The lines are in the cluster by now: completing copies them, too.
		return l.completeDirectory(ctx)
	}
	return d.write(lines)
}

// completeDirectory opens the directory and copies what the cluster has and it
// lacks: records of other replicas, and of moments when it could not be written.
func (l *Log) completeDirectory(ctx context.Context) error {
	d := l.directory
	if err := d.open(); err != nil {
		return err
	}
	if !l.tail.known {
		if err := l.reload(ctx, nil); err != nil {
			return fmt.Errorf("read what the cluster has: %w", err)
		}
	}
	if d.end.sequence >= l.tail.end.sequence {
		return l.compare(ctx)
	}
	c := copying{directory: d, end: d.end}
	if err := l.walk(ctx, d.end.sequence, c.line); err != nil {
		return fmt.Errorf("complete the copy after record %d: %w", d.end.sequence, err)
	}
	return c.flush()
}

// errFork says that cluster and directory are not of one chain.
var errFork = errors.New("directory and cluster hold different chains: `audit verify` tells more; with an empty directory it goes on")

// compare judges a directory that holds as much as the cluster, or more. Where the
// cluster's records are among the directory's, the cluster lost its end, and the
// chain goes on from what the directory knows.
func (l *Log) compare(ctx context.Context) error {
	d, stored := l.directory, l.tail.end
	if stored.sequence > 0 {
		hash, err := d.hashOf(stored.sequence)
		if err != nil {
			return err
		}
		if hash != stored.hash {
			return fmt.Errorf("record %d: %w", stored.sequence, errFork)
		}
	}
	if d.end.sequence > stored.sequence {
		l.logger.ErrorContext(ctx, "the audit chain in the cluster ends before the directory's; it goes on from the directory's end",
			slog.Int64("sequence", d.end.sequence), slog.String("hash", d.end.hash), slog.Int64("cluster_sequence", stored.sequence))
		l.metrics.tampered.Inc()
		l.remember(d.end)
		l.tail.end = d.end
	}
	return nil
}

// copying writes lines of the cluster to the directory, some at a time.
type copying struct {
	directory *directory
	end       head
	pending   []line
	bytes     int
}

func (c *copying) line(_ string, text string) error {
	record, err := parse(text)
	if err != nil || record.GetSequence() <= c.end.sequence {
		return nil //nolint:nilerr // Verify tells of it; a copy of it would be no evidence
	}
	if record.GetSequence() == c.end.sequence+1 && c.end.sequence > 0 && record.GetPreviousHash() != c.end.hash {
		return fmt.Errorf("record %d: %w", c.end.sequence, errFork)
	}
	c.end = head{record.GetSequence(), record.GetHash()}
	c.pending = append(c.pending, line{c.end, text})
	if c.bytes += len(text); c.bytes >= maxBatchBytes {
		return c.flush()
	}
	return nil
}

func (c *copying) flush() error {
	err := c.directory.write(c.pending)
	c.pending, c.bytes = c.pending[:0], 0
	return err
}
