package correlate

import "container/heap"

// deadlines implements heap.Interface over the incidents that time will change.
type deadlines []*incident

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(a, b int) bool { return d[a].at.Before(d[b].at) }

func (d deadlines) Swap(a, b int) {
	d[a], d[b] = d[b], d[a]
	d[a].index, d[b].index = a, b
}

// Push implements heap.Interface.
func (d *deadlines) Push(x any) {
	if i, ok := x.(*incident); ok {
		i.index = len(*d)
		*d = append(*d, i)
	}
}

// Pop implements heap.Interface.
func (d *deadlines) Pop() any {
	old := *d
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	last.index = -1
	return last
}

// put sets or moves the deadline of an incident; the zero time is none.
func (d *deadlines) put(i *incident) {
	switch {
	case i.at.IsZero() && i.index >= 0:
		heap.Remove(d, i.index)
	case i.at.IsZero():
	case i.index < 0:
		heap.Push(d, i)
	default:
		heap.Fix(d, i.index)
	}
}
