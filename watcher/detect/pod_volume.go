package detect

import (
	"strings"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

const (
	typeMountFailed  = "pod.volume.mount_failed"
	typeAttachFailed = "pod.volume.attach_failed"

	topicMount  Topic = "volume.mount"
	topicAttach Topic = "volume.attach"
	// partSummary is a kubelet's summary, which says less than the failures of
	// single volumes and stands for them where they are not known.
	partSummary = "summary"
)

// Volume finds pods that wait for a volume. Claims that are not bound are told
// by the scheduler, see Unschedulable.
type Volume struct{}

// Docs implements Detector.
func (Volume) Docs() []Doc {
	const resolves = "a container that starts afterwards, 10 min (EvidenceQuiet) without such an Event, the end or the " +
		"deletion of the pod"
	return []Doc{
		{
			Type: typeMountFailed, Severity: "error" + downRule,
			Source: "Kubernetes Events FailedMount and FailedMapVolume", Details: "VolumeDetails", Resolves: resolves,
		},
		{
			Type: typeAttachFailed, Severity: "error" + downRule,
			Source: "Kubernetes Event FailedAttachVolume", Details: "VolumeDetails", Resolves: resolves,
		},
	}
}

// Detect implements Detector.
func (Volume) Detect(in *PodInput, out []Finding) []Finding {
	if len(in.Evidence) == 0 {
		return out
	}
	out = volume(in, typeAttachFailed, "cannot attach a volume", in.Evidence.Find(topicAttach, ""), out)
	mount := in.Evidence.Find(topicMount, "")
	if mount == nil || in.quiet(mount) {
		mount = in.Evidence.Find(topicMount, partSummary)
	}
	return volume(in, typeMountFailed, "cannot mount a volume", mount, out)
}

// quiet says that a note is too old to tell of now.
func (in *Input[O]) quiet(n *Note) bool {
	return in.Now.Unix() >= n.Last+inSeconds(in.Thresholds.EvidenceQuiet)
}

// lasts says that what a note tells of a pod's start still holds.
func lasts(in *PodInput, n *Note) bool {
	return n != nil && !in.Gone && !in.Cur.Ended() && !in.quiet(n) && !startedAfter(in.Cur, n.Last)
}

func volume(in *PodInput, typ, what string, n *Note, out []Finding) []Finding {
	if !lasts(in, n) {
		return out
	}
	name := volumeOf(n.Message)
	message := "Pod " + in.Cur.Name + " " + what
	if name != "" {
		message += ", " + name
	}
	if n.Message != "" {
		message += ": " + sentence(n.Message)
	}
	return append(out, Finding{
		Problem:  Identify(typ, in.Cluster, in.Cur.UID, unix(n.Began)),
		Type:     typ,
		Severity: downOr(in, errored),
		Occurred: n.Since,
		Reason:   n.Reason,
		Message:  message,
		Ending:   "Pod " + in.Cur.Name + " does not wait for its volumes any more",
		Details: &rightsizerv1.VolumeDetails{
			Volume: name, Count: n.Row, FirstTime: moment(n.Since), Cause: clip(n.Message, 512),
		},
		Wake: n.Last + inSeconds(in.Thresholds.EvidenceQuiet),
	})
}

// volumeOf reads `... for volume "data" : ...` and `unmounted volumes=[data],`.
func volumeOf(message string) string {
	if _, rest, ok := strings.Cut(message, `volume "`); ok {
		if name, _, ok := strings.Cut(rest, `"`); ok {
			return clip(name, 253)
		}
	}
	if _, rest, ok := strings.Cut(message, "unmounted volumes=["); ok {
		if names, _, ok := strings.Cut(rest, "]"); ok {
			name, _, _ := strings.Cut(names, " ")
			return clip(name, 253)
		}
	}
	return ""
}
