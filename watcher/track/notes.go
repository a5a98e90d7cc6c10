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

// Notes remembers what Kubernetes Events said, by the UID of the object. Not
// safe for concurrent use.
type Notes struct {
	open    func(uid string) bool
	objects map[string]*noted
	heard   *list.List // of *noted; front was silent longest
	held    int
	dropped Dropped
}

// noted are the notes of one object.
type noted struct {
	uid   string
	notes detect.Evidence
	place *list.Element
}

// Dropped counts the notes that left for want of room, by the bound that they
// were beyond.
type Dropped struct {
	All, Object uint64
}

// NewNotes returns an empty memory. What it holds of objects with a problem that
// goes on (open) leaves last: without it the problem would seem to be over.
func NewNotes(open func(uid string) bool) *Notes {
	return &Notes{open: open, objects: make(map[string]*noted), heard: list.New()}
}

// Of returns the notes of an object, valid until the next call of Add.
func (n *Notes) Of(uid string) detect.Evidence {
	if o := n.objects[uid]; o != nil {
		return o.notes
	}
	return nil
}

// Len is how many notes are held.
func (n *Notes) Len() int { return n.held }

// Dropped is what left for want of room so far.
func (n *Notes) Dropped() Dropped { return n.dropped }

// Add remembers a note, merged with what is known.
func (n *Notes) Add(uid string, note *detect.Note) {
	if known := n.Of(uid).Find(note.Topic, note.Part); known != nil {
		n.hear(uid)
		known.Merge(note)
		return
	}
	switch {
	case len(n.Of(uid)) >= maxObjectNotes:
		n.drop(n.objects[uid])
		n.dropped.Object++
	case n.held >= MaxNotes:
		n.drop(n.silent())
		n.dropped.All++
	}
	o := n.hear(uid)
	o.notes = append(o.notes, *note)
	n.held++
}

// hear is what is remembered of an object that was spoken of right now.
func (n *Notes) hear(uid string) *noted {
	o := n.objects[uid]
	if o == nil {
		o = &noted{uid: uid}
		o.place = n.heard.PushBack(o)
		n.objects[uid] = o
	}
	n.heard.MoveToBack(o.place)
	return o
}

// Move files under its UID what was said of an object since it was made, under
// its name, before it was known.
func (n *Notes) Move(name, uid string, made int64) {
	if name == uid {
		return
	}
	notes := n.Of(name)
	n.Forget(name)
	for i := range notes {
		if notes[i].Last >= made {
			n.Add(uid, &notes[i])
		}
	}
}

// Forget drops what is known of an object that is gone.
func (n *Notes) Forget(uid string) {
	if o := n.objects[uid]; o != nil {
		n.heard.Remove(o.place)
		delete(n.objects, uid)
		n.held -= len(o.notes)
	}
}

// silent is the object to lose a note: the one that was silent longest of those
// with nothing open, or of all. The others have their turn after the rest, so that
// they are not asked about again each time.
func (n *Notes) silent() *noted {
	for range n.heard.Len() {
		o, _ := n.heard.Front().Value.(*noted)
		if !n.open(o.uid) {
			return o
		}
		n.heard.MoveToBack(o.place)
	}
	o, _ := n.heard.Front().Value.(*noted)
	return o
}

// drop forgets the note of an object that was silent longest.
func (n *Notes) drop(o *noted) {
	oldest := 0
	for i := range o.notes {
		if o.notes[i].Last < o.notes[oldest].Last {
			oldest = i
		}
	}
	o.notes = slices.Delete(o.notes, oldest, oldest+1)
	n.held--
	if len(o.notes) == 0 {
		n.Forget(o.uid)
	}
}
