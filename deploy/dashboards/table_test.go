package dashboards_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var parse = parser.NewParser(parser.Options{})

// metrics are those of the table, each with its labels. go_* and process_* are what
// the client library tells of every process.
func metrics(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	found := map[string][]string{"go_goroutines": nil, "go_memstats_heap_inuse_bytes": nil, "go_gc_gomemlimit_bytes": nil, "process_resident_memory_bytes": nil, "process_cpu_seconds_total": nil}
	label := regexp.MustCompile("`([a-z_]+)`")
	for _, row := range regexp.MustCompile("(?m)^\\| `(rightsizer_[a-z_]+)` \\| ([a-z]+) \\| [^|]* \\| ([^|]*) \\|").FindAllStringSubmatch(string(text), -1) {
		var names []string
		for _, l := range label.FindAllStringSubmatch(row[3], -1) {
			names = append(names, l[1])
		}
		if row[2] == "histogram" {
			found[row[1]+"_bucket"] = append(slices.Clone(names), "le")
			found[row[1]+"_sum"], found[row[1]+"_count"] = names, names
			continue
		}
		found[row[1]] = names
	}
	require.Greater(t, len(found), 50)
	return found
}

// judge holds that an expression is one, of metrics and labels that exist.
func judge(t *testing.T, known map[string][]string, where, text string) {
	t.Helper()
	expr, err := parse.ParseExpr(text)
	if !assert.NoError(t, err, where) {
		return
	}
	ofTarget := []string{"job", "instance", "__name__"}
	within := slices.Clone(ofTarget)
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			name := v.Name
			has, found := known[name]
			assert.Truef(t, found, "%s: no metric has the name %s", where, name)
			within = append(within, has...)
			for _, m := range v.LabelMatchers {
				assert.Truef(t, slices.Contains(ofTarget, m.Name) || slices.Contains(has, m.Name), "%s: %s has no label %s", where, name, m.Name)
				assert.False(t, m.Type == labels.MatchEqual && m.Value == "" && m.Name != "__name__", where)
			}
		}
		return nil
	})
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if a, ok := n.(*parser.AggregateExpr); ok {
			for _, label := range a.Grouping {
				assert.Truef(t, slices.Contains(within, label), "%s: nothing has the label %s", where, label)
			}
		}
		return nil
	})
}

func headings(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var out []string
	for line := range strings.Lines(string(text)) {
		if h, ok := strings.CutPrefix(line, "## "); ok {
			out = append(out, strings.TrimSpace(h))
		}
	}
	return out
}
