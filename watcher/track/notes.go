package track

import (
	"container/list"
	"slices"

	"github.com/rightsizer/rightsizer/watcher/detect"
)

const (
	// MaxNotes bounds what is remembered of Kubernetes Events over all objects,
	// about 750 bytes each at the most, 3 MiB in all. Beyond it the object that was
	// silent longest loses a note; then its problem is told by status alone.
	MaxNotes = 4096
	// maxObjectNotes bounds the notes of one object; the one that was silent
	// longest leaves first.
	maxObjectNotes = 32
)

// Notes remembers what Kubernetes Events said, by the object that they name. O is
// all that they name it by, not its UID alone: whoever may write an Event writes
// any UID, but only the namespace that he may write in. Not safe for concurrent
// use.
type Notes[O comparable] struct {
	open    func(O) bool
	objects map[O]*noted[O]
	heard   *list.List // of *noted; front was silent longest
	held    int
	dropped Dropped
}

// noted are the notes of one object.
type noted[O comparable] struct {
	object O
	notes  detect.Evidence
	place  *list.Element
}

// Dropped counts the notes that left for want of room, by the bound that they
// were beyond.
type Dropped struct {
	All, Object uint64
}

// NewNotes returns an empty memory. What it holds of objects with a problem that
// goes on (open) leaves last: without it the problem would seem to be over.
func NewNotes[O comparable](open func(O) bool) *Notes[O] {
	return &Notes[O]{open: open, objects: make(map[O]*noted[O]), heard: list.New()}
}

// Of returns the notes of an object, valid until the next call of Add.
func (n *Notes[O]) Of(object O) detect.Evidence {
	if o := n.objects[object]; o != nil {
		return o.notes
	}
	return nil
}

// Len is how many notes are held.
func (n *Notes[O]) Len() int { return n.held }

// Dropped is what left for want of room so far.
func (n *Notes[O]) Dropped() Dropped { return n.dropped }

// Missed counts notes for which there was no room before they came here.
func (n *Notes[O]) Missed(notes int) { n.dropped.All += uint64(notes) }

// Add remembers a note, merged with what is known.
func (n *Notes[O]) Add(object O, note *detect.Note) {
	if known := n.Of(object).Find(note.Topic, note.Part); known != nil {
		n.hear(object)
		known.Merge(note)
		return
	}
	switch {
	case len(n.Of(object)) >= maxObjectNotes:
		n.drop(n.objects[object])
		n.dropped.Object++
	case n.held >= MaxNotes:
		n.drop(n.silent())
		n.dropped.All++
	}
	o := n.hear(object)
	o.notes = append(o.notes, *note)
	n.held++
}

// hear is what is remembered of an object that was spoken of right now.
func (n *Notes[O]) hear(object O) *noted[O] {
	o := n.objects[object]
	if o == nil {
		o = &noted[O]{object: object}
		o.place = n.heard.PushBack(o)
		n.objects[object] = o
	}
	n.heard.MoveToBack(o.place)
	return o
}

// Move files under what it is what was said of an object since it was made, under
// another name, before it was known.
func (n *Notes[O]) Move(from, to O, made int64) {
	if from == to {
		return
	}
	notes := n.Of(from)
	n.Forget(from)
	for i := range notes {
		if notes[i].Last >= made {
			n.Add(to, &notes[i])
		}
	}
}

// Forget drops what is known of an object that is gone.
func (n *Notes[O]) Forget(object O) {
	if o := n.objects[object]; o != nil {
		n.heard.Remove(o.place)
		delete(n.objects, object)
		n.held -= len(o.notes)
	}
}

// silent is the object to lose a note: the one that was silent longest of those
// with nothing open, or of all. The others have their turn after the rest, so that
// they are not asked about again each time.
func (n *Notes[O]) silent() *noted[O] {
	for range n.heard.Len() {
		o, _ := n.heard.Front().Value.(*noted[O])
		if !n.open(o.object) {
			return o
		}
		n.heard.MoveToBack(o.place)
	}
	o, _ := n.heard.Front().Value.(*noted[O])
	return o
}

// drop forgets the note of an object that was silent longest.
func (n *Notes[O]) drop(o *noted[O]) {
	oldest := 0
	for i := range o.notes {
		if o.notes[i].Last < o.notes[oldest].Last {
			oldest = i
		}
	}
	o.notes = slices.Delete(o.notes, oldest, oldest+1)
	n.held--
	if len(o.notes) == 0 {
		n.Forget(o.object)
	}
}
