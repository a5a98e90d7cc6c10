package usage

import "cmp"

// OOMMarks is how many OOM kills are kept with their limits, the newest ones.
const OOMMarks = 4

// oomMarks are the newest OOM kills, the newest first, and how many there were.
type oomMarks struct {
	at     [OOMMarks]uint32 // 0 is none
	limits [OOMMarks]code   // 0 is not known
	count  uint32
}

// add reports whether the kill is not one that is held.
func (o *oomMarks) add(at uint32, limit code) bool {
	if o.marks(at, limit) {
		return false
	}
	o.count = addCount(o.count, 1)
	o.insert(at, limit)
	return true
}

func (o *oomMarks) insert(at uint32, limit code) {
	for i := range o.at {
		switch c := compareMarks(at, limit, o.at[i], o.limits[i]); {
		case c == 0:
			return
		case c > 0:
			at, o.at[i] = o.at[i], at
			limit, o.limits[i] = o.limits[i], limit
		}
	}
}

func compareMarks(at uint32, limit code, otherAt uint32, otherLimit code) int {
	return cmp.Or(cmp.Compare(at, otherAt), cmp.Compare(limit, otherLimit))
}

// merge counts the kills that both mark once.
func (o *oomMarks) merge(from *oomMarks) {
	count := addCount(o.count, from.count)
	before := *o
	for i, at := range from.at {
		if at == 0 {
			continue
		}
		if before.marks(at, from.limits[i]) {
			count--
		}
		o.insert(at, from.limits[i])
	}
	o.count = count
}

func (o *oomMarks) marks(at uint32, limit code) bool {
	for i := range o.at {
		if o.at[i] == at && o.limits[i] == limit {
			return true
		}
	}
	return false
}
