package e2e_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// speaksAsDocumented holds every line that an operator wrote, whatever a test had it do,
// to the table of keys in server/README.md.
func (o *operator) speaksAsDocumented() {
	o.t.Helper()
	readme, err := os.ReadFile("../../server/README.md")
	require.NoError(o.t, err)
	_, section, found := strings.Cut(string(readme), "\n## Log\n")
	require.True(o.t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	known := map[string]bool{"time": true, "level": true, "msg": true}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|").FindAllStringSubmatch(section, -1) {
		known[row[1]] = true
	}
	lines := 0
	for line := range strings.Lines(o.log.String()) {
		var keys map[string]any
		if json.Unmarshal([]byte(line), &keys) != nil {
			continue // what a command says for a person, or a runtime that crashes
		}
		lines++
		for key := range keys {
			assert.Truef(o.t, known[key], "key %q is none of the log's: %s", key, line)
		}
	}
	if o.cmd.ProcessState.Exited() { // one that is killed may have said nothing yet
		assert.Positive(o.t, lines, "lines of the log")
	}
}
