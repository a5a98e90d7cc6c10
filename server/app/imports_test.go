package app_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/rightsizer/rightsizer/"

// allowed is the layout that the README draws, as import rules: what each part of
// the project may import of the others. A part is the longest prefix listed; its
// own subpackages are always allowed unless they are listed by themselves.
var allowed = map[string][]string{
	"gen":                   {},
	"proto":                 {"gen"}, // its tests
	"bus":                   {"gen"},
	"watcher":               {"gen", "watcher/convert", "watcher/detect", "watcher/history", "watcher/meter", "watcher/recommend", "watcher/source", "watcher/usage"},
	"watcher/meter":         {},
	"watcher/history":       {},
	"watcher/source":        {"watcher/meter"},
	"watcher/convert":       {"gen", "watcher/object"},
	"watcher/detect":        {"gen", "watcher/object"},
	"watcher/usage":         {"gen"},
	"watcher/recommend":     {"gen", "watcher/object", "watcher/usage"},
	"remediate":             {"gen", "remediate/plan", "remediate/policy", "remediate/guard", "remediate/action", "remediate/kube", "remediate/plain"},
	"remediate/plain":       {},
	"remediate/plan":        {"remediate/plain", "remediate/policy"},
	"remediate/kube":        {"remediate/policy"},
	"remediate/action":      {"gen", "remediate/plan", "remediate/policy", "remediate/kube"},
	"remediate/webhook":     {"gen", "remediate/action", "remediate/outbound", "remediate/policy"},
	"remediate/policy":      {"gen", "deploy/admission"},
	"deploy/admission":      {}, // the text alone
	"remediate/guard":       {"gen", "remediate/policy"},
	"web":                   {},
	"server/suggest":        {},
	"server/text":           {},
	"server/codec":          {"gen", "server/suggest"},
	"server/config":         {"server/suggest"},
	"server/follow":         {},
	"server/tlsconf":        {"server/follow"},
	"server/rpc/rpcerr":     {"gen", "server/codec"},
	"server/rpc/page":       {"gen", "server/rpc/rpcerr"},
	"server/auth":           {"gen", "server/rpc/rpcerr", "server/follow"},
	"server/intercept":      {"gen", "server/codec", "server/rpc/rpcerr", "server/auth"},
	"server/rpc":            {"gen", "server/codec", "server/rpc/rpcerr", "server/rpc/page", "server/auth"},
	"server/stream":         {"gen", "bus", "server/codec", "server/rpc/rpcerr", "server/rpc/page", "server/auth"},
	"server/ws":             {"gen", "bus", "server/codec", "server/stream", "server/auth", "server/rpc/rpcerr", "server/text"},
	"server/presence":       {"gen", "server/text"},
	"server/sink":           {"gen", "bus", "server/codec"},
	"server/otlp":           {"server/text"},
	"server/streamtest":     {"gen", "server/codec"},
	"server/tunnel":         {},
	"server/app":            {"*"},
	"server/cmd/rightsizer": {"gen", "watcher/recommend", "server/app", "server/codec", "server/config", "server/suggest", "server/text", "server/tlsconf", "server/tunnel"},
}

// The import graph is what the layout says: nobody but the composition root sees
// across it.
func TestImportsFollowTheLayout(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	require.NoError(t, err)
	seen := map[string]bool{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		require.NoError(t, dec.Decode(&pkg))
		from := strings.TrimPrefix(pkg.ImportPath, module)
		part := partOf(from)
		if !assert.NotEmptyf(t, part, "%s belongs to no part of the layout: add it to the table, and to a README", from) {
			continue
		}
		seen[part] = true
		for _, imported := range pkg.Imports {
			to, ours := strings.CutPrefix(imported, module)
			if ours && partOf(to) != part {
				assert.Truef(t, permits(allowed[part], to), "%s imports %s: %s may import only %v", from, to, part, allowed[part])
			}
		}
	}
	for _, part := range []string{"bus", "watcher", "web", "server/stream", "server/ws", "server/rpc"} {
		assert.Truef(t, seen[part], "%s is gone: the rule for it holds nothing", part)
	}
}

func partOf(pkg string) string {
	for p := pkg; p != "."; {
		if _, ok := allowed[p]; ok {
			return p
		}
		i := strings.LastIndexByte(p, '/')
		if i < 0 {
			return ""
		}
		p = p[:i]
	}
	return ""
}

func permits(parts []string, pkg string) bool {
	for _, p := range parts {
		if p == "*" || pkg == p || strings.HasPrefix(pkg, p+"/") {
			return true
		}
	}
	return false
}
