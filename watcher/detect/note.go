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
	// Count is how often it was said, as far as known, at least 1.
	Count int32
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
	return note, ok
}

// Follows says that the note is of use only after one of another topic: what
// goes well is said of every object and would crowd out what does not.
func (n *Note) Follows() (topic Topic, ok bool) {
	return topicFailedCreate, n.Topic == topicCreated
}

// Merge adds what a later Event of the same topic and part said. A series that
// began after the end of the one that is known takes its place.
func (n *Note) Merge(later *Note) {
	if later.First > n.Last {
		*n = *later
		return
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
