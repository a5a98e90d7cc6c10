package detect

import (
	"strconv"
	"strings"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const (
	typeProbe = "pod.probe_failed."
	// topicProbe is completed by the kind of the probe.
	topicProbe Topic = "probe."
)

// probes are the kinds of probes.
func probes() []string {
	return []string{"liveness", "readiness", "startup"}
}

// Probe finds containers whose probe keeps failing.
type Probe struct{}

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
			Source:  "Kubernetes Event Unhealthy of the " + kind + " probe, 3 times (ProbeFailures)",
			Details: "ProbeDetails",
			Resolves: "2 min (ProbeQuiet) without such an Event while the container is ready or does not run, the end or the " +
				"deletion of the pod",
		})
	}
	return out
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
		}
	}
	return out
}

func probe(in *PodInput, c *object.Container, kind string, n *Note, out []Finding) []Finding {
	quietAt := n.Last + inSeconds(in.Thresholds.ProbeQuiet)
	fine := c.Ready || c.State.Kind != object.Running
	if fine && in.Now.Unix() >= quietAt {
		return out
	}
	severity := downOr(in, warning)
	if kind == "liveness" {
		severity = downOr(in, errored)
	}
	_, words, _ := strings.Cut(n.Message, ": ")
	typ := typeProbe + kind
	f := Finding{
		Problem:   Identify(typ, in.Cluster, in.Cur.UID, c.Name, n.Reason, strconv.FormatInt(n.First, 10)),
		Type:      typ,
		Severity:  severity,
		Occurred:  n.Since,
		Container: c.Name,
		Kind:      c.Kind,
		Reason:    n.Reason,
		Message:   subject(c, in.Cur) + " fails its " + kind + " probe: " + sentence(words),
		Ending:    subject(c, in.Cur) + " does not fail its " + kind + " probe any more",
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
	word, _, _ := strings.Cut(message, " ")
	for _, kind := range probes() {
		if strings.EqualFold(word, kind) {
			return topicProbe + Topic(kind), true
		}
	}
	return "", false
}
