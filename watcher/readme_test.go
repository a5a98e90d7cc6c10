package watcher_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/watcher/detect"
)

// The table in README.md says what the code says, in the code's order.
func TestREADMEListsTheDetectors(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var want []string
	for _, doc := range detect.All() {
		want = append(want, "| `"+doc.Type+"` | "+strings.Join([]string{doc.Severity, doc.Source, doc.Details, doc.Resolves}, " | ")+" |")
	}
	own, elsewhere, ok := strings.Cut(string(text), "### Who reads\n") // server/app holds the rest
	require.True(t, ok)
	require.Contains(t, elsewhere, "| `dashboard.connected` |")
	var got []string
	for line := range strings.Lines(own) {
		if typ, _, row := strings.Cut(strings.TrimPrefix(line, "| `"), "` | "); row && strings.Contains(typ, ".") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	assert.Equal(t, want, got)
}

// The thresholds in README.md are all of them, by name.
func TestREADMEListsTheThresholds(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for field := range reflect.TypeFor[detect.Thresholds]().Fields() {
		assert.Contains(t, string(text), "| `"+field.Name+"` |")
	}
}
