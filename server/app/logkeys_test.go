package app_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// kinds are the values that a key of the log may have, by the constructor of slog.
var kinds = map[string][]string{
	"String": {"text"}, "Any": {"text", "list"}, "Bool": {"true, false"}, "Duration": {"ns"}, "Time": {"time"},
	"Int": {"number"}, "Int64": {"number"}, "Uint64": {"number"}, "Float64": {"number"}, "Group": {"object"}, "GroupAttrs": {"object"},
}

// logKey is a row of the table of keys in server/README.md.
var logKey = regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| (text|number|true, false|ns|time|list|object) \\| ")

// Every line of the log has keys of the table in server/README.md alone, and of the kind
// that it says; every key of the table is one that some line has. sloglint holds that
// keys are given by these constructors, and messages do not vary.
func TestKeysOfTheLogAreDocumented(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	table := map[string]string{}
	for _, row := range logKey.FindAllStringSubmatch(string(readme), -1) {
		assert.NotContains(t, table, row[1], "twice")
		table[row[1]] = row[2]
	}
	require.NotEmpty(t, table)
	used := map[string]bool{}
	for _, part := range []string{"bus", "remediate", "server", "watcher", "web"} {
		for path, file := range sources(t, filepath.Join("../..", part)) {
			ast.Inspect(file, func(n ast.Node) bool {
				if composite, ok := n.(*ast.CompositeLit); ok && isSlog(composite.Type, "Attr") && len(composite.Elts) > 0 {
					t.Errorf("%s: an attribute of the log is made by hand; use slog.String and its like", path)
				}
				if key, kind, ok := attribute(t, path, n); ok {
					used[key] = true
					assert.Containsf(t, kinds[kind], table[key], "%s: key %q by slog.%s, which the table in server/README.md has as %q", path, key, kind, table[key])
				}
				return true
			})
		}
	}
	for key := range table {
		assert.Truef(t, used[key], "key %q of the table in server/README.md is one that no line has", key)
	}
}

// sources are the parsed files of a folder, by path, without tests and modules of their own.
func sources(t *testing.T, root string) map[string]*ast.File {
	t.Helper()
	out := map[string]*ast.File{}
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			if err == nil || slices.Contains([]string{"node_modules", "testdata", "gen"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		out[path], err = parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		return err
	}))
	return out
}

// attribute is the key that a node gives to a line of the log, and by which constructor.
func attribute(t *testing.T, path string, n ast.Node) (key, kind string, ok bool) {
	t.Helper()
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return "", "", false
	}
	for kind := range kinds {
		if !isSlog(call.Fun, kind) {
			continue
		}
		literal, ok := call.Args[0].(*ast.BasicLit)
		if !assert.Truef(t, ok && literal.Kind == token.STRING, "%s: the key of slog.%s is no literal", path, kind) {
			return "", "", false
		}
		key, err := strconv.Unquote(literal.Value)
		require.NoError(t, err)
		return key, kind, true
	}
	return "", "", false
}

// isSlog says whether an expression is that name of log/slog.
func isSlog(expr ast.Expr, name string) bool {
	selector, ok := expr.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	pkg, ok := selector.X.(*ast.Ident)
	return ok && pkg.Name == "slog"
}
