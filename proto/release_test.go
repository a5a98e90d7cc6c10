package proto_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/yaml"
)

var released = regexp.MustCompile(`(?m)^## (\d+\.\d+\.\d+) – \d{4}-\d{2}-\d{2}$`)

// The schema that nothing may break is that of the release which the changelog calls the
// last, all of it. The chart has its version, or that of the work on the next: what is
// not released is never taken for what is.
func TestTheLastReleaseIsKept(t *testing.T) {
	changelog, err := os.ReadFile("../.github/CHANGELOG.md")
	require.NoError(t, err)
	last := released.FindSubmatch(changelog)
	require.NotNil(t, last, "the changelog has no release")
	raw, err := os.ReadFile("../deploy/helm/Chart.yaml")
	require.NoError(t, err)
	var chart struct{ Version, AppVersion string }
	require.NoError(t, yaml.Unmarshal(raw, &chart))
	assert.Equal(t, chart.Version, chart.AppVersion)
	if bytes.Contains(changelog, []byte("\n## Unreleased\n")) {
		assert.Regexp(t, `^\d+\.\d+\.\d+-dev$`, chart.Version, "the changelog has something unreleased: make release VERSION=v…-dev")
		assert.True(t, version.MustParseSemantic(string(last[1])).LessThan(version.MustParseSemantic(chart.Version)), "%s is not after %s", chart.Version, last[1])
	} else {
		assert.Equal(t, string(last[1]), chart.Version)
	}

	kept, err := filepath.Glob("released/*")
	require.NoError(t, err)
	require.Equal(t, []string{"released/v" + string(last[1]) + ".binpb.gz"}, kept)
	packed, err := os.Open(kept[0])
	require.NoError(t, err)
	defer packed.Close() //nolint:errcheck // only read
	unpacked, err := gzip.NewReader(packed)
	require.NoError(t, err)
	text, err := io.ReadAll(unpacked)
	require.NoError(t, err)
	set := &descriptorpb.FileDescriptorSet{}
	require.NoError(t, proto.Unmarshal(text, set))
	services := 0
	for _, file := range set.GetFile() {
		if file.GetPackage() == schema {
			services += len(file.GetService())
		}
	}
	assert.GreaterOrEqual(t, services, 8)
}
