package main

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The table of README.md has each command, and no other.
func TestTheReadmeHasEachCommand(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(rightsizer [a-z ]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, m[1])
	}
	var existing []string
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.HasParent() && (!c.HasSubCommands() || c.Name() == "backtest") {
			existing = append(existing, c.CommandPath())
			assert.NotEmpty(t, c.Short, c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot("rightsizer"))
	existing = append(existing, "rightsizer completion") // cobra adds it as it runs
	slices.Sort(existing)
	slices.Sort(documented)
	assert.Equal(t, existing, documented)
}

// What has messages to show shows them in each form.
func TestEachClientVerbHasItsForms(t *testing.T) {
	for _, line := range [][]string{
		{"events"},
		{"recommendations"},
		{"remediations", "list"},
		{"remediations", "get"},
		{"remediations", "approve"},
		{"remediations", "reject"},
		{"remediations", "cancel"},
		{"remediations", "rollback"},
		{"audit", "list"},
		{"audit", "verify"},
		{"replay"},
		{"backtest"},
		{"config", "check"},
		{"config", "print"},
		{"version"},
	} {
		cmd, _, err := newRoot("rightsizer").Find(line)
		require.NoError(t, err)
		assert.NotNil(t, cmd.Flags().ShorthandLookup("o"), "%v", line)
	}
}
