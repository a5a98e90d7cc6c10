package detect

import (
	"strings"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const (
	typeProbe      = "pod.probe_failed."
	typeProbeError = "pod.probe_errored"
	// topicProbe and topicProbeError are completed by the kind of the probe.
	topicProbe      Topic = "probe."
	topicProbeError Topic = "probe_error."
)

// probes are the kinds of probes.
func probes() []string {
	return []string{"liveness", "readiness", "startup"}
}

// Probe finds containers whose probe keeps failing, or cannot be carried out. The
// kubelet throws the result of the latter away: nothing is restarted for it, and a
// container waits for its startup or readiness for ever.
type Probe struct{}

// probeResolves is how both end.
const probeResolves = "6 min (ProbeQuiet) without such an Event or a restart while the container is ready, or as long without an " +
	"Event while it does not run and is not about to, the end or the deletion of the pod"

// Docs implements Detector.
func (Probe) Docs() []Doc {
	var out []Doc
	for _, kind := range probes() {
		severity := "warning" + downRule
		if kind == "liveness" {
			severity = "error" + downRule
		}
		out = append(out, Doc{
			Type: typeProbe + kind, Severity: severity,
			Source:   "Kubernetes Event Unhealthy of the " + kind + " probe, 3 times (ProbeFailures)",
			Details:  "ProbeDetails",
			Resolves: probeResolves,
		})
	}
	return append(out, Doc{
		Type: typeProbeError, Severity: "warning" + downRule,
		Source: "Kubernetes Event Unhealthy that says `errored`, 3 times (ProbeFailures), of any probe: it could not be carried out, " +
			"for example since its command is not in the image, and the kubelet counts it neither as failed nor as passed",
		Details: "ProbeDetails", Resolves: probeResolves,
	})
}

// Detect implements Detector.
func (Probe) Detect(in *PodInput, out []Finding) []Finding {
	if len(in.Evidence) == 0 || in.Gone || in.Cur.Ended() {
		return out
	}
	for i := range in.Cur.Containers {
		c := &in.Cur.Containers[i]
		for _, kind := range probes() {
			if n := in.Evidence.Find(topicProbe+Topic(kind), c.Name); n != nil && n.Row >= in.Thresholds.ProbeFailures {
				out = probe(in, c, kind, n, out)
			}
			if n := in.Evidence.Find(topicProbeError+Topic(kind), c.Name); n != nil && n.Row >= in.Thresholds.ProbeFailures {
				out = probe(in, c, kind, n, out)
			}
		}
	}
	return out
}

func probe(in *PodInput, c *object.Container, kind string, n *Note, out []Finding) []Finding {
	// What does not run is not probed, and what is restarted again and again says
	// little: of a pod's Events most are then those of its restarts.
	since, fine := n.Last, !heldBack(c)
	if c.State.Kind == object.Running {
		since, fine = max(n.Last, c.State.StartedAt), c.Ready
	}
	quietAt := since + inSeconds(in.Thresholds.ProbeQuiet)
	if fine && in.Now.Unix() >= quietAt {
		return append(out, Finding{Ends: n})
	}
	severity := downOr(in, warning)
	typ, does, end := typeProbe+kind, " fails its ", " no longer fails its "
	switch {
	case n.Topic == topicProbeError+Topic(kind):
		typ, does, end = typeProbeError, " cannot carry out its ", " is no longer told to be unable to carry out its "
	case kind == "liveness":
		severity = downOr(in, errored)
	}
	cause := []string{typ, in.Cluster, in.Cur.UID, c.Name, n.Reason, unix(n.Began)}
	if typ == typeProbeError {
		cause = append(cause, kind)
	}
	_, words, _ := strings.Cut(n.Message, ": ")
	f := Finding{
		Problem:   Identify(cause...),
		Type:      typ,
		Severity:  severity,
		Occurred:  n.Since,
		Container: c.Name,
		Kind:      c.Kind,
		Reason:    n.Reason,
		Message:   subject(c, in.Cur) + does + kind + " probe: " + sentence(words),
		Ending:    subject(c, in.Cur) + end + kind + " probe",
		Details: &rightsizerv1.ProbeDetails{
			ContainerKind: c.Kind, Probe: kind, Count: n.Row, FirstTime: moment(n.Since), LastTime: moment(n.Last),
			Cause: clip(words, 512),
		},
	}
	if fine { // Otherwise the status says when to look again.
		f.Wake = quietAt
	}
	return append(out, f)
}

// probeTopic reads `Liveness probe failed: ...` and `Readiness probe errored
// and resulted in unknown state: ...`.
func probeTopic(message string) (Topic, bool) {
	word, rest, _ := strings.Cut(message, " ")
	for _, kind := range probes() {
		switch {
		case !strings.EqualFold(word, kind):
		case strings.HasPrefix(rest, "probe errored"):
			return topicProbeError + Topic(kind), true
		default:
			return topicProbe + Topic(kind), true
		}
	}
	return "", false
}
