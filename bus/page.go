package bus

import "errors"

// ErrPosition is returned for a position that this bus did not make.
var ErrPosition = errors.New("bus: not a position of this epoch")

// Page walks held entries in order of publishing, or against it when newestFirst,
// and calls visit for each that passes the filter until visit returns false. It
// starts after the position from (before it when newestFirst), at the end of the
// ring when from is empty, and returns the position to go on from, empty when
// there is nothing more. upTo, if given, is the newest entry to visit: with it,
// pages are stable while entries arrive; entries that the ring gives up between
// pages are missing. A position that is not of this epoch is ErrPosition.
func (b *Bus) Page(f *Filter, from, upTo string, newestFirst bool, visit func(*Entry) bool) (string, error) {
	first, last := b.tail.Load(), b.head.Load()
	if upTo != "" {
		seq, ok := b.positions.parse(upTo)
		if !ok {
			return "", ErrPosition
		}
		last = min(last, seq)
	}
	if from != "" {
		seq, ok := b.positions.parse(from)
		if !ok {
			return "", ErrPosition
		}
		switch {
		case newestFirst && seq == 0:
			last = 0
		case newestFirst:
			last = min(last, seq-1)
		default:
			first = max(first, seq+1)
		}
	}
	var stopped uint64 // where visit had enough; 0 while it has not
	for n := first; n <= last; n++ {
		seq := n
		if newestFirst {
			seq = last - (n - first)
		}
		e := b.at(seq)
		switch {
		case e == nil || !f.Matches(e):
		case stopped != 0:
			return b.positions.format(stopped), nil
		case !visit(e):
			stopped = seq
		}
	}
	return "", nil
}
