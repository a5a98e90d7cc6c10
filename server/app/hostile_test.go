package app

import (
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"

	"github.com/rightsizer/rightsizer/remediate/plain"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/server/text"
	"github.com/rightsizer/rightsizer/watcher/convert"
)

// Neither the watcher nor what repairs may import server/text, and what is hostile is
// the same for all: whatever leaves the operator has passed one of them.
func TestHostileCharactersAreTheSameForAll(t *testing.T) {
	t.Parallel()
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if r >= 0xd800 && r <= 0xdfff { // no characters
			continue
		}
		want := string(r)
		if text.Hostile(r) {
			want = " "
		}
		for of, got := range map[string]string{
			"watcher/convert": convert.Text(string(r), 8), "remediate/plain": plain.Line(string(r), 8), "remediate/plan": plan.Cut(string(r), 8),
		} {
			if got != want {
				assert.Equal(t, want, got, "%s: %U", of, r)
			}
		}
	}
}
