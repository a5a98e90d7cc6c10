package correlate_test

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/watcher/correlate"
)

// The table of README.md is that of the code. With UPDATE_README=1 it is written.
func TestReadmeHasTheRules(t *testing.T) {
	var table strings.Builder
	for _, r := range correlate.Rules() {
		for _, l := range r.Links() {
			place := l.Place()
			if l.Crowd() {
				place += ", crowd"
			}
			fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s | %d %% | %s |\n", r.Name(), place,
				list(l.Causes), list(l.Effects), span(l.Before, l.After), l.Confidence, l.Basis)
		}
	}
	raw, err := os.ReadFile("README.md")
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(raw), "<!-- rules -->\n")
	require.True(t, ok)
	_, tail, ok := strings.Cut(rest, "<!-- /rules -->")
	require.True(t, ok)
	want := head + "<!-- rules -->\n" + table.String() + "<!-- /rules -->" + tail
	if os.Getenv("UPDATE_README") != "" {
		require.NoError(t, os.WriteFile("README.md", []byte(want), 0o644))
		return
	}
	assert.Equal(t, want, string(raw), "run the test with UPDATE_README=1")
}

func list(types []string) string {
	if types[0] == "*" {
		return "any"
	}
	out := make([]string, len(types))
	for n, typ := range types {
		out[n] = "`" + typ + "`"
	}
	return strings.Join(out, " ")
}

func span(before, after time.Duration) string {
	short := func(d time.Duration) string {
		if d%time.Minute == 0 {
			return fmt.Sprintf("%d min", d/time.Minute)
		}
		return fmt.Sprintf("%d s", d/time.Second)
	}
	if before == 0 {
		return "up to " + short(after) + " after"
	}
	return short(before) + " before to " + short(after) + " after"
}

func TestRulesAreWellFormed(t *testing.T) {
	names := make(map[string]bool)
	for _, r := range correlate.Rules() {
		assert.False(t, names[r.Name()])
		assert.LessOrEqual(t, len(r.Name()), 64)
		names[r.Name()] = true
		for _, l := range r.Links() {
			assert.NotEmpty(t, l.Basis)
			assert.Positive(t, l.Confidence)
			assert.Less(t, l.Confidence, 100, "nothing here is certain")
			assert.GreaterOrEqual(t, l.After, 10*time.Minute, "what comes late must still find its cause")
		}
	}
}

// The settings in README.md are all of them, by name.
func TestReadmeListsTheSettings(t *testing.T) {
	raw, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for field := range reflect.TypeFor[correlate.Options]().Fields() {
		assert.Contains(t, string(raw), "| `"+field.Name+"` | `--")
	}
}
