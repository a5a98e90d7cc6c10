package audit

import (
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Record is short for the message.
type Record = rightsizerv1.AuditRecord

// Small makes the bounds so small that a test reaches them.
func (o Options) Small(closeAt int, segments int64, fileBytes int64, files int, probe time.Duration) Options {
	o.closeAt, o.maxSegments, o.fileBytes, o.maxFiles, o.probeEvery = closeAt, segments, fileBytes, files, probe
	return o
}

// MaxQueue is how many records may wait.
const MaxQueue = maxQueue

// CheckLines checks lines as Verify does, with the heads that are known.
func CheckLines(texts []string, known map[int64]string) *Report {
	c := newChecker(nil)
	c.known = known
	for _, text := range texts {
		c.line("test", text)
	}
	return c.end()
}

// ParseLine reads a line.
var ParseLine = parse

// ChainLine makes the line after the one with this number and hash.
var ChainLine = func(sequence int64, hash string, record *Record) (int64, string, string, error) {
	l, err := chain(head{sequence, hash}, record)
	return l.sequence, l.hash, l.text, err
}
