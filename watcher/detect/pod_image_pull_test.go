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
