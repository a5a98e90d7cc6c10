//go:build image

package manifests_test

import (
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/rightsizer/rightsizer/deploy/manifests"
)

// What `make publish` leaves in a registry is one name for all architectures, and a
// chart that installs just that image. Needs the archives of `make image`, and buildah.
func TestPublish(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(testLog{t}, "", 0))))
	t.Cleanup(server.Close)
	prefix := strings.TrimPrefix(server.URL, "http://") + "/team"
	out, err := exec.CommandContext(t.Context(), "../../.ci/publish", prefix).CombinedOutput()
	require.NoErrorf(t, err, "%s", out)

	raw, err := os.ReadFile(filepath.Join(chart, "Chart.yaml"))
	require.NoError(t, err)
	var meta struct{ Version string }
	require.NoError(t, yaml.Unmarshal(raw, &meta))
	ref, err := name.ParseReference(prefix+"/rightsizer:"+meta.Version, name.Insecure)
	require.NoError(t, err)
	index, err := remote.Index(ref, remote.WithTransport(http.DefaultTransport))
	require.NoErrorf(t, err, "%s", out)
	list, err := index.IndexManifest()
	require.NoError(t, err)
	var platforms []string
	for _, m := range list.Manifests {
		platforms = append(platforms, m.Platform.String())
		image, err := index.Image(m.Digest)
		require.NoError(t, err)
		config, err := image.ConfigFile()
		require.NoError(t, err)
		assert.Equal(t, "65532:65532", config.Config.User)
		assert.Equal(t, []string{"/rightsizer"}, config.Config.Entrypoint)
	}
	assert.ElementsMatch(t, []string{"linux/amd64", "linux/arm64"}, platforms)
	digest, err := index.Digest()
	require.NoError(t, err)

	to := t.TempDir()
	out, err = exec.CommandContext(t.Context(), "go", "tool", "helm", "pull", "--plain-http", "--untar", "-d", to,
		"oci://"+prefix+"/charts/rightsizer", "--version", meta.Version).CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
	rendered, err := manifests.Render(filepath.Join(to, "rightsizer"), manifests.Release{Name: "rightsizer", Namespace: "rightsizer"})
	require.NoError(t, err)
	assert.Contains(t, manifests.Manifest(rendered, manifests.Templates...), "image: "+prefix+"/rightsizer@"+digest.String()+"\n")
}

// testLog is where the registry tells what it was asked.
type testLog struct{ t *testing.T }

// Write implements io.Writer.
func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}
