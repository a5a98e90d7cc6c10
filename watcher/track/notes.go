package track

import (
	"slices"

	"github.com/rightsizer/rightsizer/watcher/detect"
)

const (
	// MaxNotes bounds what is remembered of Kubernetes Events over all objects,
	// about 700 bytes each at the most, 3 MiB in all. The oldest leaves first;
	// then its problem is told by status alone.
	MaxNotes = 4096
	// maxObjectNotes bounds the notes of one object; the one that was silent
	// longest leaves first.
	maxObjectNotes = 32
)

// Notes remembers what Kubernetes Events said, by the UID of the object. Not
// safe for concurrent use.
type Notes struct {
	byUID map[string]detect.Evidence
	order []noteKey // oldest first, a ring once full
	next  int
}

type noteKey struct {
	uid   string
	topic detect.Topic
	part  string
}

// NewNotes returns an empty memory.
func NewNotes() *Notes {
	return &Notes{byUID: make(map[string]detect.Evidence)}
}

// Of returns the notes of an object, valid until the next call of Add.
func (n *Notes) Of(uid string) detect.Evidence {
	return n.byUID[uid]
}

// Len is how many notes are held.
func (n *Notes) Len() int {
	total := 0
	for _, notes := range n.byUID {
		total += len(notes)
	}
	return total
}

// Add remembers a note, merged with what is known.
func (n *Notes) Add(uid string, note *detect.Note) {
	if known := n.byUID[uid].Find(note.Topic, note.Part); known != nil {
		known.Merge(note)
		return
	}
	if len(n.byUID[uid]) >= maxObjectNotes {
		oldest := 0
		for i, other := range n.byUID[uid] {
			if other.Last < n.byUID[uid][oldest].Last {
				oldest = i
			}
		}
		n.byUID[uid] = slices.Delete(n.byUID[uid], oldest, oldest+1)
	}
	key := noteKey{uid, note.Topic, note.Part}
	if len(n.order) < MaxNotes {
		n.order = append(n.order, key)
	} else {
		n.drop(n.order[n.next])
		n.order[n.next] = key
		n.next = (n.next + 1) % MaxNotes
	}
	n.byUID[uid] = append(n.byUID[uid], *note)
}

// Move files under its UID what was said of an object since it was made, under
// its name, before it was known.
func (n *Notes) Move(name, uid string, made int64) {
	notes := n.byUID[name]
	if len(notes) == 0 || name == uid {
		return
	}
	delete(n.byUID, name)
	for i := range notes {
		if notes[i].Last >= made {
			n.Add(uid, &notes[i])
		}
	}
}

// Forget drops what is known of an object that is gone. Its places in the order
// stay taken until they are the oldest, which keeps this cheap.
func (n *Notes) Forget(uid string) {
	if len(n.byUID) > 0 {
		delete(n.byUID, uid)
	}
}

func (n *Notes) drop(key noteKey) {
	kept := slices.DeleteFunc(n.byUID[key.uid], func(note detect.Note) bool {
		return note.Topic == key.topic && note.Part == key.part
	})
	if len(kept) == 0 {
		delete(n.byUID, key.uid)
		return
	}
	n.byUID[key.uid] = kept
}
