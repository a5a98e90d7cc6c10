package detect

import (
	"strings"

	"github.com/rightsizer/rightsizer/watcher/object"
)

// Topic is what Kubernetes Events are evidence of.
type Topic string

// Note is what Kubernetes Events said of one cause of one object, merged over
// all Events of the same topic and part.
type Note struct {
	Topic Topic
	// Part keeps the causes of one topic apart: a container, a volume, a process.
	// Empty for the object as a whole.
	Part string
	// Reason and Message are those of the latest Event; the message is cut at
	// 512 bytes.
	Reason  string
	Message string
	// First and Last are when it was said first and last, in Unix seconds.
	First int64
	Last  int64
	// Began is Since as it was when the row was new, or the latest time where a
	// series that is heard of late may be more than one row: part of identities,
	// so that an older series that is heard of later changes none.
	Began int64
	// Count is how often it was said, as far as known, at least 1. Kubelets
	// count over the whole life of an Event, however long it was silent.
	Count int32
	// Row is how often it was said in the present row, with at most 10 min
	// between two times, 0 once that is over, and Since when that row began.
	Row   int32
	Since int64
}

// rowGap is the silence that ends a row, in seconds: twice the time that the
// kubelet's limit on the Events of one object can hold back an Event.
const rowGap = 600

// gap is the silence that ends a row, in seconds: that of controllers is longer.
func (n *Note) gap() int64 {
	if n.Topic == topicFailedCreate {
		return inSeconds(refusedQuiet)
	}
	return rowGap
}

// Evidence are the notes of one object. A detector that lives by them says when
// it wants to look again (Wake), since silence makes no change.
type Evidence []Note

// Find returns the note of a topic and part; nil where there is none.
func (e Evidence) Find(topic Topic, part string) *Note {
	for i := range e {
		if e[i].Topic == topic && e[i].Part == part {
			return &e[i]
		}
	}
	return nil
}

// NoteOf reads a Kubernetes Event as evidence; false where it is none. The
// watcher keeps notes by object, within bounds, until the object is gone.
func NoteOf(e *object.KubeEvent) (Note, bool) {
	note := Note{Reason: e.Reason, Message: e.Message, First: e.First, Last: e.Last, Count: max(e.Count, 1)}
	var ok bool
	switch e.Kind {
	case "Pod":
		note.Topic, note.Part, ok = readPodEvent(e)
	case "Node":
		note.Topic, note.Part, ok = readNodeEvent(e)
	case "CronJob":
		note.Topic, note.Part, ok = readCronJobEvent(e)
	case "ReplicaSet", "StatefulSet", "DaemonSet", "Job":
		note.Topic, note.Part, ok = readControllerEvent(e)
	}
	note.Row, note.Since = 1, note.Last
	if note.Last-note.First <= note.gap()*int64(note.Count-1) { // On average; more is not known of the past.
		note.Row, note.Since = note.Count, note.First
	}
	note.Began = note.Since
	if note.Last-note.First > note.gap() {
		// There may have been a silence in it that ended a row, and the row before
		// has the id of the beginning. Another id for one row is the lesser harm.
		note.Began = note.Last
	}
	return note, ok
}

// Follows says that the note is of use only after one of another topic: what
// goes well is said of every object and would crowd out what does not.
func (n *Note) Follows() (topic Topic, ok bool) {
	return topicFailedCreate, n.Topic == topicCreated
}

// EndsUnseen says that neither the status of such an object nor a warning tells
// when this is over, so that one that is read late may be: a success is said by
// an Event of type Normal.
func (n *Note) EndsUnseen(kind string) bool {
	return n.Topic == topicFailedCreate && kind != "StatefulSet" && kind != "DaemonSet"
}

// Renew begins a new row where the next note follows a success that ended the
// one before: a controller that may not create again. unheard says that there
// may have been one that nobody heard of.
func (e Evidence) Renew(next *Note, unheard bool) {
	known := e.Find(topicFailedCreate, next.Part)
	if next.Topic != topicFailedCreate || known == nil {
		return
	}
	created := e.Find(topicCreated, "")
	if unheard || created != nil && created.Last > known.Last && next.Last >= created.Last {
		known.End()
	}
}

// End says that what was told is over: the next time begins a new row.
func (n *Note) End() {
	n.Row = 0
}

// Merge adds what a later Event of the same topic and part said. After a row, a
// series that began since then takes the place of the one that is known. Within
// a row it does not: words that change each time (a process id, the time of a
// run) make Events of their own.
func (n *Note) Merge(later *Note) {
	same := later.First == n.First
	switch {
	case n.Row > 0 && later.Last-n.Last <= n.gap():
		n.Since = min(n.Since, later.Since)
		n.Row++
		if same { // The same Event may have been counted up several times.
			n.Row = max(n.Row, n.Row-1+later.Count-n.Count)
		}
	case later.First > n.Last:
		*n = *later
		return
	default:
		n.Row, n.Since, n.Began = 1, later.Last, later.Last
	}
	n.First = min(n.First, later.First)
	n.Count = max(n.Count+1, later.Count)
	if later.Last >= n.Last {
		n.Last, n.Reason, n.Message = later.Last, later.Reason, later.Message
	}
}

// topicBackOff: the kubelet holds back the restart of a container.
const topicBackOff Topic = "backoff"

// readPodEvent sorts the Events of pods by what they are evidence of.
func readPodEvent(e *object.KubeEvent) (topic Topic, part string, ok bool) {
	switch e.Reason {
	case "BackOff": // The pull of an image is held back under the same reason.
		return topicBackOff, e.Container, strings.HasPrefix(e.Message, "Back-off restarting")
	case "Unhealthy":
		topic, ok = probeTopic(e.Message)
		return topic, e.Container, ok && e.Container != ""
	case "FailedMount", "FailedMapVolume":
		if strings.HasPrefix(e.Message, "Unable to attach or mount volumes") {
			part = partSummary
		}
		return topicMount, part, true
	case "FailedAttachVolume":
		return topicAttach, "", true
	case "FailedCreatePodSandBox":
		if blamesNetwork(e.Message) {
			return topicNetwork, "", true
		}
		return topicSandbox, "", true
	case "NetworkNotReady":
		return topicNetwork, "", true
	case "DNSConfigForming":
		return topicDNS, "", true
	case "Evicted", "Preempted", "Preempting":
		return topicEviction, "", true
	case "TaintManagerEviction":
		return topicEviction, "", strings.HasPrefix(e.Message, "Marking for deletion")
	}
	return "", "", false
}
