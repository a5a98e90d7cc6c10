package detect_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/rightsizer/rightsizer/watcher/detect"
)

// However long the name of an image is, a pull that fails is one problem, held
// back or not, and what stands at the end of all that the kubelet and the runtime
// say is told.
func TestPullsOfLongNames(t *testing.T) {
	for name, tt := range map[string]struct{ reason, prefix, cause, want string }{
		"no such host": {
			"ErrImagePull", `failed to pull and unpack image "IMG": failed to resolve reference "IMG": failed to do request: Head "https://IMG": `,
			"dial tcp: lookup registry.test on 10.0.0.2:53: no such host", "pod.image_pull.unavailable",
		},
		"forbidden": {
			"ErrImagePull", `rpc error: code = Unknown desc = failed to pull and unpack image "IMG": failed to resolve reference "IMG": `,
			"unexpected status from HEAD request to https://registry.test: 403 Forbidden", "pod.image_pull.unauthorized",
		},
		"not there": {
			"ErrImagePull", `failed to pull and unpack image "IMG": failed to resolve reference "IMG": IMG: `, "not found",
			"pod.image_pull.not_found",
		},
		"registry down": {
			"RegistryUnavailable", "image pull failed for IMG because the ", "registry is unavailable", "pod.image_pull.unavailable",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for length := 10; length <= 400; length += 13 {
				image := "registry.test/" + strings.Repeat("a", length)
				said := strings.ReplaceAll(tt.prefix, "IMG", image) + tt.cause
				held := fmt.Sprintf("Back-off pulling image %q: %s: %s", image, tt.reason, said)
				s := newScript(t)
				s.play(
					step{at: "12:00:05", pod: waitingPod(tt.reason, said), want: []string{"OPENED " + tt.want}, said: []string{tt.cause}},
					step{at: "12:00:20", pod: waitingPod("ImagePullBackOff", held)},
					step{at: "12:00:40", pod: waitingPod(tt.reason, said)},
				)
				assert.Contains(t, s.events[0].GetImagePull().GetCause(), tt.cause)

				late := podOf(t, "metadata: {name: web-1, namespace: shop, uid: u1}"+waitingPod("ImagePullBackOff", held), nil)
				found := detect.ImagePull{}.Detect(input(late, at("12:00:30")), nil)
				assert.Equal(t, s.events[0].GetProblemId(), found[0].Problem.String(), "who comes later")
			}
		})
	}
}

// What an image is called is no cause.
func TestPullsOfImagesThatAreCalledLikeCauses(t *testing.T) {
	for _, image := range []string{
		"acme/timeout:1", "denied/app:1", "docker.io/acme/unauthorized@sha256:0", "timeout:1", "toomanyrequests",
	} {
		full := image
		if rest, ok := strings.CutPrefix(full, "docker.io/"); ok {
			full = rest
		} else if !strings.Contains(full, "/") {
			full = "library/" + full
		}
		repository, _, _ := strings.Cut(full, ":")
		for _, said := range []string{
			`failed to pull and unpack image "docker.io/FULL": failed to resolve reference "docker.io/FULL": docker.io/FULL: not found`,
			`failed to resolve image "IMG": unexpected status from HEAD request to https://registry-1.docker.io/v2/REPOSITORY/manifests/1?ns=docker.io: 404 Not Found`,
		} {
			said = strings.NewReplacer("IMG", image, "FULL", full, "REPOSITORY", repository).Replace(said)
			pod := strings.Replace(waitingPod("ErrImagePull", said), "registry.example.com/web:1", image, 1)
			newScript(t).play(step{at: "12:00:05", pod: pod, want: []string{"OPENED pod.image_pull.not_found"}})
		}
	}
	for _, said := range []string{
		`failed to do request: Head "https://registry-1.docker.io/v2/library/timeout/manifests/1": net/http: request canceled (Client.Timeout exceeded)`,
		`failed to do request: Head "https://registry-1.docker.io/v2/library/timeout/manifests/1": read: i/o timeout`,
	} {
		pod := strings.Replace(waitingPod("ErrImagePull", said), "registry.example.com/web:1", "timeout:1", 1)
		newScript(t).play(step{at: "12:00:05", pod: pod, want: []string{"OPENED pod.image_pull.unavailable"}})
	}
}

// What the kubelet says of a cause by a reason of its own is of that cause while the
// pull is held back as well, whatever the runtime adds.
func TestPullsThatAreHeldBackKeepTheirCause(t *testing.T) {
	for reason, tt := range map[string]struct{ said, want string }{
		"SignatureValidationFailed": {"the signature validation failed: policy: access denied", "other"},
		"RegistryUnavailable":       {"the registry is unavailable: access denied", "unavailable"},
	} {
		said := "image pull failed for registry.example.com/web:1 because " + tt.said
		held := fmt.Sprintf("Back-off pulling image %q: %s: %s", "registry.example.com/web:1", reason, said)
		newScript(t).play(
			step{at: "12:00:05", pod: waitingPod(reason, said), want: []string{"OPENED pod.image_pull." + tt.want}},
			step{at: "12:00:20", pod: waitingPod("ImagePullBackOff", held)},
			step{at: "12:00:40", pod: waitingPod(reason, said)},
		)
	}
}
