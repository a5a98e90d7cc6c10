package app_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// proxying is the right to nodes/proxy in any of the forms that a manifest has.
var proxying = regexp.MustCompile(`nodes/(proxy|\*)|\bresources:\s*\[?\s*"?\*`)

// No manifest that is shipped gives the operator nodes/proxy, which is exec into
// every pod, wherever its role may stand.
func TestNoRoleReachesIntoNodes(t *testing.T) {
	t.Parallel()
	seen := 0
	root := os.DirFS(filepath.Join("..", ".."))
	for _, dir := range []string{"deploy"} {
		require.NoError(t, fs.WalkDir(root, dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			switch filepath.Ext(path) {
			case ".yaml", ".yml", ".tpl", ".json":
			default:
				return nil
			}
			raw, err := fs.ReadFile(root, path)
			if err != nil {
				return err
			}
			seen++
			for n, line := range strings.Split(string(raw), "\n") {
				assert.NotRegexp(t, proxying, line, "%s:%d", path, n+1)
			}
			return nil
		}))
	}
	assert.Positive(t, seen)
	assert.Regexp(t, proxying, `resources: ["nodes/proxy"]`)
	assert.Regexp(t, proxying, `resources: ["*"]`)
	assert.NotRegexp(t, proxying, `resources: ["nodes/metrics", "nodes/stats"]`)
}
