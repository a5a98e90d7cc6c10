package correlate

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Links lead forward in the order of tiers: else one that a rule means would
// never hold.
func TestLinksLeadForward(t *testing.T) {
	book := newRulebook()
	assert.Len(t, book.rules, restRule+1)
	for _, l := range book.links {
		for _, cause := range l.Causes {
			for _, effect := range l.Effects {
				assert.LessOrEqual(t, tier(sample(cause)), tier(sample(effect)), "%s → %s", cause, effect)
			}
		}
	}
}

// sample is a type that a pattern stands for.
func sample(pattern string) string {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return prefix + "any"
	}
	return pattern
}
