package audit

import (
	"errors"
	"fmt"
	"strconv"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/plain"
)

// Kinds of findings.
const (
	// KindEdited says: a line is not what was written.
	KindEdited = "edited"
	// KindMissing says: records in the middle are not there.
	KindMissing = "missing"
	// KindReordered says: a record stands where it does not belong, or twice.
	KindReordered = "reordered"
	// KindTruncated says: the beginning or the end is not there, and nothing says
	// that it was let go of.
	KindTruncated = "truncated"
	// KindRewritten says: a record is another than it is known to have been.
	KindRewritten = "rewritten"
	// KindTorn says: the last line of a file is incomplete; a write was cut off.
	KindTorn = "torn"
	// KindHeldElsewhere says: records were let go of, as the chain itself says. It
	// is no fault.
	KindHeldElsewhere = "held_elsewhere"
)

// Actions of the chain itself.
const (
	actionRetired     = "audit.retired"
	actionCopyRetired = "audit.copy_retired"
)

// Keys of their evidence.
const (
	evidenceFirst = "first_sequence"
	evidenceLast  = "last_sequence"
	evidenceHead  = "head"
	evidencePart  = "part"
)

// maxFindings bounds what a Report lists.
const maxFindings = 256

// maxAttested bounds the statements of retirement that a check remembers: the
// newest, of which there is one for each segment and file.
const maxAttested = 4096

// Report is what a check of a chain found.
type Report struct {
	// Findings are what does not fit, and what is held elsewhere; at most 256.
	Findings []*rightsizerv1.AuditFinding
	// Omitted counts findings beyond those.
	Omitted int64
	// Faults counts findings that are no mere `held_elsewhere`, omitted ones too.
	Faults int64
	// Records is how many lines were checked.
	Records int64
	// First is the number of the first record, 0 where there is none.
	First int64
	// Head is the last record, nil where there is none.
	Head *rightsizerv1.AuditHead
}

// Valid says that nothing was found but what is held elsewhere.
func (r *Report) Valid() bool { return r.Faults == 0 }

func (r *Report) add(sequence int64, kind, place, message string) {
	if kind != KindHeldElsewhere {
		r.Faults++
	}
	if len(r.Findings) == maxFindings {
		r.Omitted++
		return
	}
	r.Findings = append(r.Findings, &rightsizerv1.AuditFinding{
		Sequence: sequence, Kind: kind, Place: plain.Line(place, 512), Message: plain.Line(message, 1024),
	})
}

// gap is a place where numbers are left out: those after `after` and before
// `before`, whose record says that the one ahead of it has the hash.
type gap struct {
	after, before int64
	hash          string
	place         string
}

// checker walks the lines of a chain in the order in which they are stored. It
// holds no line: what it needs is bounded by the number of faults.
type checker struct {
	report Report
	last   head // hash is empty where it cannot be known
	known  map[int64]string
	// attested are the heads of what was retired, by number.
	attested map[int64]string
	gaps     []gap
}

func newChecker(known []*rightsizerv1.AuditHead) *checker {
	c := &checker{known: make(map[int64]string, len(known)), attested: map[int64]string{}}
	for _, h := range known {
		c.known[h.GetSequence()] = h.GetHash()
	}
	return c
}

// line takes the next line.
func (c *checker) line(place, text string) {
	c.report.Records++
	record, err := parse(text)
	expected := c.last.sequence + 1
	if err != nil && !errors.Is(err, errHash) {
		c.report.add(expected, KindEdited, place, "record "+strconv.FormatInt(expected, 10)+", going by its place: "+err.Error())
		c.began(expected)
		c.last = head{sequence: expected}
		return
	}
	c.number(record, expected, place)
	if err != nil {
		c.report.add(record.GetSequence(), KindEdited, place, fmt.Sprintf("record %d: %v", record.GetSequence(), err))
		return
	}
	if known, ok := c.known[record.GetSequence()]; ok && known != record.GetHash() {
		c.report.add(record.GetSequence(), KindRewritten, place,
			fmt.Sprintf("record %d is known to have the hash %s, and has %s", record.GetSequence(), known, record.GetHash()))
	}
	c.attest(record)
}

// number judges where a record stands, and what it says of the one ahead of it.
func (c *checker) number(record *rightsizerv1.AuditRecord, expected int64, place string) {
	sequence := record.GetSequence()
	switch {
	case sequence < expected && c.report.First > 0:
		c.outOfOrder(sequence, place)
		return
	case sequence > expected:
		c.gaps = append(c.gaps, gap{after: c.last.sequence, before: sequence, hash: record.GetPreviousHash(), place: place})
	case expected == 1 && record.GetPreviousHash() != genesis:
		c.report.add(1, KindEdited, place, "record 1 does not say that it is the first")
	case expected > 1 && c.last.hash != "" && record.GetPreviousHash() != c.last.hash:
		c.report.add(sequence, KindEdited, place,
			fmt.Sprintf("record %d does not follow from record %d: one of them was replaced", sequence, c.last.sequence))
	}
	c.began(sequence)
	c.last = head{sequence, record.GetHash()}
}

// outOfOrder judges a record whose number came already, or was left out before.
func (c *checker) outOfOrder(sequence int64, place string) {
	for i, g := range c.gaps {
		if g.after < sequence && sequence < g.before {
			c.report.add(sequence, KindReordered, place, fmt.Sprintf("record %d stands behind record %d", sequence, c.last.sequence))
			c.gaps = append(c.gaps[:i], c.gaps[i+1:]...)
			if g.after+1 < sequence {
				c.gaps = append(c.gaps, gap{after: g.after, before: sequence, place: g.place})
			}
			if sequence+1 < g.before {
				c.gaps = append(c.gaps, gap{after: sequence, before: g.before, hash: g.hash, place: g.place})
			}
			return
		}
	}
	c.report.add(sequence, KindReordered, place, fmt.Sprintf("record %d stands here again, behind record %d", sequence, c.last.sequence))
}

func (c *checker) began(sequence int64) {
	if c.report.First == 0 {
		c.report.First = sequence
	}
}

// attest remembers what a record says was retired.
func (c *checker) attest(record *rightsizerv1.AuditRecord) {
	if record.GetAction() != actionRetired && record.GetAction() != actionCopyRetired {
		return
	}
	last, err := strconv.ParseInt(record.GetEvidence()[evidenceLast], 10, 64)
	if err != nil || last < 1 || last >= record.GetSequence() {
		return
	}
	if len(c.attested) >= maxAttested {
		clear(c.attested) // older than anything that is still held
	}
	c.attested[last] = record.GetEvidence()[evidenceHead]
}

// end judges what only the whole chain shows.
func (c *checker) end() *Report {
	for _, g := range c.gaps {
		span := fmt.Sprintf("records %d to %d", g.after+1, g.before-1)
		switch hash, ok := c.attested[g.before-1]; {
		case ok && g.hash != "" && hash == g.hash:
			c.report.add(g.after+1, KindHeldElsewhere, g.place, span+" were let go of, as the chain says; what it says of their end fits")
		case ok && g.hash != "":
			c.report.add(g.after+1, KindRewritten, g.place, span+" were let go of, but what the chain says of their end does not fit")
		case g.after == 0:
			c.report.add(1, KindTruncated, g.place, span+" are not there, and no record says that they were let go of")
		default:
			c.report.add(g.after+1, KindMissing, g.place, span+" are not there")
		}
	}
	for sequence, hash := range c.known {
		if sequence > c.last.sequence {
			c.report.add(sequence, KindTruncated, "", fmt.Sprintf(
				"record %d is known to exist, with the hash %s, but the chain ends at record %d", sequence, hash, c.last.sequence))
		}
	}
	if c.last.hash != "" {
		c.report.Head = c.last.proto()
	}
	return &c.report
}
