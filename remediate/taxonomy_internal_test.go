package remediate

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/remediate/plan"
)

// The table of types says of Remediations what the code says.
func TestTheTaxonomyListsTheStates(t *testing.T) {
	text, err := os.ReadFile("../watcher/README.md")
	require.NoError(t, err)
	want := make(map[string]string)
	for state := range states {
		resolves := "a final state"
		if !plan.Open(state) {
			resolves = "it is the end (RESOLVED)"
		}
		severity := strings.ToLower(short(severityOf(state).String(), "SEVERITY_"))
		want[eventType(state)] = severity + " … RemediationDetails | " + resolves + " |"
	}
	got := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if typ, row, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` | "); ok && strings.HasPrefix(typ, "remediation.") {
			severity, rest, _ := strings.Cut(strings.TrimSpace(row), " | state of a Remediation: ")
			_, rest, _ = strings.Cut(rest, " | ")
			got[typ] = severity + " … " + rest
		}
	}
	assert.Equal(t, want, got)
}
