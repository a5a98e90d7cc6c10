package detect

import (
	"cmp"
	"strconv"
	"strings"
)

// cause is why a node is left out, in short form.
type cause string

const (
	causeResources cause = "resources"
	causeVolume    cause = "volume"
	causeAffinity  cause = "affinity"
	causeTopology  cause = "topology"
	causeTaint     cause = "taint"
	causePort      cause = "port"
	causeOther     cause = "other"
)

// causes in the order in which one wins over another that leaves out as many
// nodes: what the pod's owner can change comes first.
func causes() []cause {
	return []cause{causeResources, causeVolume, causeAffinity, causeTopology, causeTaint, causePort, causeOther}
}

// verdict is what the scheduler said of a pod.
type verdict struct {
	nodes      int32 // looked at; 0 where it does not say
	reasons    []reason
	preemption string
}

// reason is one entry in the scheduler's histogram.
type reason struct {
	cause cause
	text  string
	nodes int32 // left out; 0 where it counts for all
}

// maxReasons bounds a verdict, by the schema.
const maxReasons = 32

// parseVerdict reads the message of PodScheduled=False. It understands
//
//	0/5 nodes are available: 2 Insufficient cpu, 3 node(s) had untolerated
//	taint {a: b}. preemption: 0/5 nodes are available: ...
//	0/5 nodes are available: pod has unbound immediate PersistentVolumeClaims.
//
// and takes anything else as one reason in the words of whoever said it.
//
// Source: FitError.Error in kube-scheduler.
func parseVerdict(message string) verdict {
	var v verdict
	body := strings.TrimSpace(message)
	if head, rest, ok := strings.Cut(body, ": "); ok {
		if n, counted := nodesOf(head); counted {
			v.nodes, body = n, rest
		}
	}
	if before, after, ok := strings.Cut(body, "preemption: "); ok {
		body, v.preemption = before, strings.TrimSpace(after)
	}
	for _, part := range splitHistogram(strings.TrimRight(body, " .,")) {
		if len(v.reasons) == maxReasons {
			break
		}
		r := reason{text: part}
		if n, text, ok := leadingCount(part); ok {
			// A counted reason ends where another sentence begins.
			text, _, _ = strings.Cut(text, ". ")
			r.nodes, r.text = n, strings.TrimRight(text, " .,")
		}
		if r.text == "" {
			continue
		}
		r.cause = causeOf(r.text)
		v.reasons = append(v.reasons, r)
	}
	return v
}

// nodesOf reads `0/5 nodes are available`.
func nodesOf(head string) (int32, bool) {
	ratio, ok := strings.CutSuffix(head, " nodes are available")
	if !ok {
		return 0, false
	}
	_, total, ok := strings.Cut(ratio, "/")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(total, 10, 32)
	return int32(max(n, 0)), err == nil
}

// splitHistogram splits at commas that a count follows; others belong to a
// reason.
func splitHistogram(body string) []string {
	var out []string
	start := 0
	for i := 0; i+2 < len(body); i++ {
		if body[i] != ',' || body[i+1] != ' ' {
			continue
		}
		if _, _, ok := leadingCount(body[i+2:]); ok {
			out = append(out, body[start:i])
			start = i + 2
		}
	}
	return append(out, body[start:])
}

// leadingCount reads `2 Insufficient cpu`.
func leadingCount(s string) (int32, string, bool) {
	digits, rest, ok := strings.Cut(s, " ")
	if !ok || digits == "" || digits[0] < '0' || digits[0] > '9' {
		return 0, "", false
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil {
		return 0, "", false
	}
	return int32(n), strings.TrimSpace(rest), true
}

// causeOf sorts the words of the scheduler's plugins. What names a taint or a
// resource comes first, for the name may be any; then volumes: one of their reasons
// speaks of affinity.
func causeOf(text string) cause {
	text = strings.ToLower(text)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(text, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("had untolerated taint", "had taint"):
		return causeTaint
	case strings.HasPrefix(text, "insufficient "):
		return causeResources
	case has("volume", "pvc(s)", "free storage", "no available disk", "readwriteoncepod"):
		return causeVolume
	case has("free ports"):
		return causePort
	case has("topology spread"):
		return causeTopology
	case has("taint", "were unschedulable"):
		return causeTaint
	case has("insufficient", "too many pods", "resourceclaim", "allocate all claims", "enough resource"):
		return causeResources
	case has("affinity", "node selector", "node name"):
		return causeAffinity
	}
	return causeOther
}

// main is the cause that leaves out most nodes, of those that passed what the
// scheduler looks at first: taints and node affinity. A node that is full could
// have been the pod's, one of another pool could not, however many there are.
// Resources count by the largest reason, since one node may lack several; the
// others add up.
//
// Source: getDefaultPlugins in kube-scheduler.
func (v *verdict) main() cause {
	passed, all := tally{}, tally{}
	for _, r := range v.reasons {
		n := int64(r.nodes)
		if n == 0 {
			n = int64(max(v.nodes, 1))
		}
		all.add(r.cause, n)
		if !r.first() {
			passed.add(r.cause, n)
		}
	}
	return cmp.Or(passed.most(), all.most(), causeOther)
}

// first says that it is looked at before all else. Affinity to pods is not.
func (r *reason) first() bool {
	text := strings.ToLower(r.text)
	return r.cause == causeTaint ||
		r.cause == causeAffinity && !strings.Contains(text, "pod affinity") && !strings.Contains(text, "anti-affinity")
}

// tally is how many nodes each cause leaves out.
type tally map[cause]int64

func (t tally) add(c cause, n int64) {
	if c == causeResources {
		t[c] = max(t[c], n)
	} else {
		t[c] += n
	}
}

// most is empty where nothing was counted.
func (t tally) most() cause {
	best := cause("")
	for _, c := range causes() {
		if t[c] > t[best] {
			best = c
		}
	}
	return best
}

// text is the reasons in a sentence, those of the main cause first.
func (v *verdict) text(main cause) string {
	text := ""
	for _, mains := range []bool{true, false} {
		for _, r := range v.reasons {
			if (r.cause == main) != mains || len(text) > 300 {
				continue
			}
			if text != "" {
				text += ", "
			}
			if r.nodes > 0 {
				text += strconv.FormatInt(int64(r.nodes), 10) + " "
			}
			text += sentence(r.text)
		}
	}
	return text
}
