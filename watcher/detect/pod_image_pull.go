package detect

import (
	"strings"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const typeImagePull = "pod.image_pull."

// ImagePull finds containers whose image cannot be had, split by what the
// registry or the runtime said.
type ImagePull struct{}

// Docs implements Detector.
func (ImagePull) Docs() []Doc {
	var out []Doc
	for _, d := range [][2]string{
		{"not_found", "no such repository, tag or digest"},
		{"unauthorized", "the registry wants other credentials, or none suffice"},
		{"unavailable", "the registry cannot be reached, is overloaded or limits the rate"},
		{"invalid_name", "InvalidImageName: the name of the image cannot be read"},
		{"other", "anything else, such as ErrImageNeverPull"},
	} {
		out = append(out, Doc{
			Type:     typeImagePull + d[0],
			Severity: "error; warning for an ephemeral container" + downRule,
			Source:   "a container that waits for its image; by reason and message: " + d[1],
			Details:  "ImagePullDetails",
			Resolves: "the start of the container, another cause, the end or the deletion of the pod",
		})
	}
	return out
}

// Detect implements Detector.
func (ImagePull) Detect(in *PodInput, out []Finding) []Finding {
	for i := range in.Cur.Containers {
		c := &in.Cur.Containers[i]
		if c.State.Kind != object.Waiting || c.State.Message == "" && c.State.Reason == "" || in.Gone || in.Cur.Ended() {
			continue
		}
		if kind := pullCause(&c.State, c.Image); kind != "" {
			out = append(out, imagePull(in, c, kind))
		}
	}
	return out
}

// pullCause is the last part of the type; empty where no pull fails.
func pullCause(s *object.State, image string) string {
	switch s.Reason {
	case reasonInvalidImageName:
		return "invalid_name"
	case reasonRegistryUnavailable:
		return "unavailable"
	case reasonErrImageNeverPull, "ImageInspectError", "SignatureValidationFailed":
		return "other"
	case reasonErrImagePull, reasonImagePullBackOff:
	default:
		return ""
	}
	text := withoutImage(strings.ToLower(s.Message), strings.ToLower(image))
	// What the kubelet says by a reason of its own first, whatever the runtime adds
	// to it. Then from the particular to the general: a registry that hides what it
	// has answers "denied" for images that do not exist, and says so.
	for _, c := range []struct {
		kind  string
		words []string
	}{
		{"unavailable", []string{"because the registry is unavailable"}},
		{"other", []string{"because the signature validation failed"}},
		{"unauthorized", []string{
			"unauthorized", "authentication required", "authorization failed", "denied", "no basic auth", "403 forbidden",
			"insufficient_scope",
		}},
		{"unavailable", []string{
			"registry is unavailable", "toomanyrequests", "too many requests", "rate limit", "timeout", "timed out", "deadline exceeded",
			"connection refused", "connection reset", "no such host", "dial tcp", "tls handshake", "x509:", "server misbehaving",
			"500 internal", "502 bad", "503 service", "504 gateway", "unexpected eof", "no route to host", "network is unreachable",
		}},
		{"not_found", []string{"not found", "notfound", "manifest unknown", "does not exist", "no match for platform", "name unknown"}},
	} {
		for _, w := range c.words {
			if strings.Contains(text, w) {
				return c.kind
			}
		}
	}
	return "other"
}

// withoutImage is a message without the words that name the image, or an address:
// images are called acme/timeout, too.
func withoutImage(message, image string) string {
	name := image[strings.LastIndexByte(image, '/')+1:]
	if end := strings.IndexAny(name, ":@"); end >= 0 {
		name = name[:end]
	}
	words := strings.Fields(message)
	for i, w := range words {
		if strings.Contains(w, "://") || strings.Contains(w, "/"+name) || strings.Contains(w, `"`+name) {
			words[i] = "_" // What stands around it is no phrase.
		}
	}
	return strings.Join(words, " ")
}

func imagePull(in *PodInput, c *object.Container, kind string) Finding {
	words := c.State.Message
	severity := downOr(in, errored)
	if c.Kind == rightsizerv1.ContainerKind_CONTAINER_KIND_EPHEMERAL {
		severity = warning
	}
	typ := typeImagePull + kind
	message := subject(c, in.Cur) + " cannot get its image " + clip(c.Image, 256)
	if words != "" {
		message += ": " + sentence(words)
	}
	return Finding{
		Problem:   Identify(typ, in.Cluster, in.Cur.UID, c.Name, c.Image, unix(int64(c.RestartCount))),
		Type:      typ,
		Severity:  severity,
		Container: c.Name,
		Kind:      c.Kind,
		Reason:    c.State.Reason,
		Message:   message,
		Ending:    subject(c, in.Cur) + " does not wait for its image for that cause any more",
		Details: &rightsizerv1.ImagePullDetails{
			ContainerKind: c.Kind, Image: clip(c.Image, 512), WaitingReason: c.State.Reason, Cause: clip(words, 512),
		},
	}
}
