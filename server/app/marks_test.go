package app

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/watcher/convert"
)

// The watcher tells who owns a manifest, and what repairs asks who would take a change
// back. Neither may import the other, and they know the same marks: Helm's alone takes
// nothing back.
func TestTheMarksOfToolsAreTheSameForAll(t *testing.T) {
	mark := regexp.MustCompile(`\{"[A-Z][\w ]+", "([a-z.]+/[a-z-]+)"\}`)
	for _, file := range []string{"../../watcher/convert/tool.go", "../../remediate/kube/workload.go"} {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		found := mark.FindAllSubmatch(source, -1)
		require.NotEmpty(t, found, file)
		for _, m := range found {
			meta := metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u", Annotations: map[string]string{string(m[1]): "web"}}
			told, err := convert.New().Deployment(&appsv1.Deployment{ObjectMeta: meta})
			require.NoError(t, err)
			if !assert.NotNil(t, told.Tool, "the watcher does not know %s", m[1]) || told.Tool.Kind == "Helm" {
				continue
			}
			assert.Equal(t, told.Tool.Kind, kube.GitOps(&meta), "%s", m[1])
		}
	}
}
