package audit

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Names of what the chain has in the cluster.
const (
	segmentPrefix = "rightsizer-audit-"
	// label is on every segment; its value is labelSegment.
	label        = "rightsizer.dev/audit"
	labelSegment = "segment"
)

// segmentName is the name of the ConfigMap of a segment, from 1.
func segmentName(number int64) string { return fmt.Sprintf("%s%08d", segmentPrefix, number) }

// segmentNumber is the number in a name, false where it is no segment's.
func segmentNumber(name string) (int64, bool) {
	digits, ok := strings.CutPrefix(name, segmentPrefix)
	if !ok || len(digits) < 8 {
		return 0, false
	}
	number, err := strconv.ParseInt(digits, 10, 64)
	return number, err == nil && number > 0 && segmentName(number) == name
}

// segmentKey is the key under which the records of one append lie, by the number
// of the first.
func segmentKey(sequence int64) string { return fmt.Sprintf("r%016d", sequence) }

// placed is a line with where it stands, for people.
type placed struct{ place, text string }

// lines are the lines of a segment in the order in which they were written.
func lines(segment *corev1.ConfigMap) []placed {
	var out []placed
	for _, key := range slices.Sorted(maps.Keys(segment.Data)) {
		for i, text := range strings.Split(strings.TrimSuffix(segment.Data[key], "\n"), "\n") {
			out = append(out, placed{place: fmt.Sprintf("%s %s:%d", segment.Name, key, i+1), text: text})
		}
	}
	return out
}

// weight is the number of bytes that a segment's records take.
func weight(segment *corev1.ConfigMap) int {
	n := 0
	for _, text := range segment.Data {
		n += len(text)
	}
	return n
}

// isClosed says that nothing is appended to the segment any more.
func isClosed(segment *corev1.ConfigMap) bool {
	return segment.Immutable != nil && *segment.Immutable
}

// endOf is the last record that the segment names, whether or not its hash is
// right: what is wrong is for Verify to find, and nobody who edits a segment may
// thereby end the record. The zero head is that of a segment without any.
func endOf(segment *corev1.ConfigMap) head {
	var end head
	for _, l := range lines(segment) {
		if record, _ := parse(l.text); record != nil && record.GetSequence() > end.sequence {
			end = head{record.GetSequence(), record.GetHash()}
		}
	}
	return end
}
