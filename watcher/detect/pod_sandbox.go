package detect

import (
	"strings"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

const (
	typeSandboxFailed = "pod.sandbox_failed"
	typeNetworkFailed = "pod.network_failed"

	topicSandbox Topic = "sandbox"
	topicNetwork Topic = "network"
)

// Sandbox finds pods whose sandbox cannot be made, and tells those apart for
// which it is the network's fault.
type Sandbox struct{}

// Docs implements Detector.
func (Sandbox) Docs() []Doc {
	const resolves = "a container that starts afterwards, 10 min (EvidenceQuiet) without such an Event, the end or the " +
		"deletion of the pod"
	return []Doc{
		{
			Type: typeSandboxFailed, Severity: "error" + downRule,
			Source: "Kubernetes Event FailedCreatePodSandBox that does not blame the network", Details: "SandboxDetails",
			Resolves: resolves,
		},
		{
			Type: typeNetworkFailed, Severity: "error" + downRule,
			Source:  "Kubernetes Event FailedCreatePodSandBox that names the network or a CNI plugin; NetworkNotReady",
			Details: "SandboxDetails", Resolves: resolves,
		},
	}
}

// Detect implements Detector.
func (Sandbox) Detect(in *PodInput, out []Finding) []Finding {
	if len(in.Evidence) == 0 {
		return out
	}
	if n := in.Evidence.Find(topicSandbox, ""); lasts(in, n) {
		out = append(out, sandbox(in, typeSandboxFailed, "has no sandbox", n))
	}
	if n := in.Evidence.Find(topicNetwork, ""); lasts(in, n) {
		out = append(out, sandbox(in, typeNetworkFailed, "has no network", n))
	}
	return out
}

func sandbox(in *PodInput, typ, what string, n *Note) Finding {
	message := "Pod " + in.Cur.Name + " " + what
	if in.Cur.Node != "" {
		message += " on node " + in.Cur.Node
	}
	return Finding{
		Problem:  Identify(typ, in.Cluster, in.Cur.UID, unix(n.Began)),
		Type:     typ,
		Severity: downOr(in, errored),
		Occurred: n.Since,
		Reason:   n.Reason,
		Message:  message + ": " + sentence(n.Message),
		Ending:   "Pod " + in.Cur.Name + " is not told any more to lack a sandbox or a network",
		Details: &rightsizerv1.SandboxDetails{
			Count: n.Row, FirstTime: moment(n.Since), Plugin: pluginOf(n.Message), Cause: clip(n.Message, 512),
		},
		Wake: n.Last + inSeconds(in.Thresholds.EvidenceQuiet),
	}
}

// blamesNetwork reads what runtimes say of a CNI plugin:
//
//	Failed to create pod sandbox: rpc error: code = Unknown desc = failed to
//	setup network for sandbox "3f1c": plugin type="calico" failed (add): ...
func blamesNetwork(message string) bool {
	message = strings.ToLower(message)
	return strings.Contains(message, "network") || strings.Contains(message, "cni")
}

// pluginOf reads `plugin type="calico"`.
func pluginOf(message string) string {
	_, rest, ok := strings.Cut(message, `plugin type="`)
	if !ok {
		return ""
	}
	name, _, ok := strings.Cut(rest, `"`)
	if !ok {
		return ""
	}
	return clip(name, 64)
}
