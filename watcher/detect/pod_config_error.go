package detect

import (
	"strings"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const typeConfigError = "pod.config_error"

// ConfigError finds containers that cannot be created or started as they are
// described: a missing ConfigMap, Secret or key, a command that is not there.
type ConfigError struct{}

// Docs implements Detector.
func (ConfigError) Docs() []Doc {
	return []Doc{{
		Type:     typeConfigError,
		Severity: "error" + downRule,
		Source: "waiting reason CreateContainerConfigError, CreateContainerError or RunContainerError, ends by StartError; " +
			"what is missing by the kubelet's message",
		Details:  "ConfigErrorDetails",
		Resolves: "the start of the container, the end or the deletion of the pod",
	}}
}

// Detect implements Detector.
func (ConfigError) Detect(in *PodInput, out []Finding) []Finding {
	for i := range in.Cur.Containers {
		c := &in.Cur.Containers[i]
		if in.Gone || in.Cur.Ended() {
			continue
		}
		if reason := heldBackBy(c); reason != "" {
			out = append(out, configError(in, c, reason))
		}
	}
	return out
}

// heldBackBy is the kubelet's reason; empty where the container is not held
// back by its description. A container that could not be run shows
// RunContainerError for a moment, then an end by StartError, then the back-off
// after it, again and again: one problem.
func heldBackBy(c *object.Container) string {
	const run = "RunContainerError"
	failed := func(t *object.Terminated) bool {
		return t != nil && (t.Reason == "StartError" || t.Reason == "ContainerCannotRun")
	}
	switch c.State.Kind {
	case object.Waiting:
		switch c.State.Reason {
		case "CreateContainerConfigError", "CreateContainerError", run:
			return c.State.Reason
		case reasonCrashLoopBackOff:
			if failed(c.Last) {
				return run
			}
		}
	case object.Ended:
		if failed(c.State.Terminated) && restartsAfter(c, c.State.Terminated) {
			return run
		}
	case object.Running:
	}
	return ""
}

func configError(in *PodInput, c *object.Container, reason string) Finding {
	details := missing(c.State.Message)
	details.ContainerKind, details.WaitingReason = c.Kind, reason
	message := subject(c, in.Cur) + " cannot be started"
	switch {
	case details.GetMissingKey() != "":
		message += ": " + details.GetMissingKind() + " " + details.GetMissingName() + " has no key " + details.GetMissingKey()
	case details.GetMissingKind() != "":
		message += ": " + details.GetMissingKind() + " " + details.GetMissingName() + " does not exist"
	case c.State.Message != "":
		message += ": " + sentence(c.State.Message)
	}
	return Finding{
		Problem:   Identify(typeConfigError, in.Cluster, in.Cur.UID, c.Name, reason, unix(int64(c.RowStart))),
		Type:      typeConfigError,
		Severity:  downOr(in, errored),
		Container: c.Name,
		Kind:      c.Kind,
		Reason:    reason,
		Message:   message,
		Ending:    subject(c, in.Cur) + " is not held back by its configuration any more",
		Details:   details,
	}
}

// missing reads what the kubelet says of a ConfigMap or Secret:
//
//	configmap "settings" not found
//	couldn't find key password in Secret shop/database
func missing(message string) *rightsizerv1.ConfigErrorDetails {
	d := &rightsizerv1.ConfigErrorDetails{}
	if _, rest, ok := strings.Cut(message, "couldn't find key "); ok {
		key, where, _ := strings.Cut(rest, " in ")
		kind, object, _ := strings.Cut(where, " ")
		if k := kindOf(kind); k != "" {
			if _, name, ok := strings.Cut(object, "/"); ok {
				object = name
			}
			d.MissingKind, d.MissingKey = k, clip(key, 253)
			d.MissingName = clip(strings.TrimRight(object, " ."), 253)
			return d
		}
	}
	for _, kind := range []string{"configmap", "secret"} {
		if _, rest, ok := strings.Cut(message, kind+` "`); ok {
			if name, after, ok := strings.Cut(rest, `"`); ok && strings.HasPrefix(after, " not found") {
				d.MissingKind, d.MissingName = kindOf(kind), clip(name, 253)
				return d
			}
		}
	}
	return d
}

func kindOf(word string) string {
	switch strings.ToLower(word) {
	case "configmap":
		return "ConfigMap"
	case "secret":
		return "Secret"
	}
	return ""
}
