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

// proxying is the right to nodes/proxy in any of the forms that a manifest has: by its
// name, and by a * in a list of resources on one line or on several.
var proxying = regexp.MustCompile(`(?m)nodes/(proxy|\*)|\bresources"?: *(\[[^]\n]*["']\*["']|["']?\*|\n( *- +[^\n]*\n)*? *- +["']?\*["']? *$)`)

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
			if at := proxying.FindIndex(raw); at != nil {
				t.Errorf("%s:%d: %s", path, 1+strings.Count(string(raw[:at[0]]), "\n"), raw[at[0]:at[1]])
			}
			return nil
		}))
	}
	assert.Positive(t, seen)
	assert.Regexp(t, proxying, `resources: ["nodes/proxy"]`)
	for _, granting := range []string{
		`resources: ["*"]`, `resources: ['*']`, `resources: ["pods", "*"]`, `resources: "*"`, `{"resources": ["*"]}`,
		"resources:\n  - \"*\"\n", "resources:\n- '*'\n", "  resources:\n    - pods\n    - \"*\"\n    verbs: [get]\n", "resources:\n  - nodes/*\n",
	} {
		assert.Regexp(t, proxying, granting)
	}
	for _, harmless := range []string{
		`resources: ["nodes/metrics", "nodes/stats"]`, "resources:\n  - pods\napiVersions:\n  - '*'\n", "apiVersions: [\"*\"]\nresources: [pods]\n",
	} {
		assert.NotRegexp(t, proxying, harmless)
	}
}
