package suggest_test

import (
	"strings"
	"testing"

	"github.com/rightsizer/rightsizer/server/suggest"
	"github.com/stretchr/testify/assert"
)

func TestNearest(t *testing.T) {
	known := []string{"eventTypes", "namespaces", "severities", "tags", "minSeverity", "after"}
	for word, want := range map[string]string{
		"sevrities":              "severities",
		"severites":              "severities",
		"min_severity":           "minSeverity",
		"nmaespaces":             "namespaces",
		"tag":                    "tags",
		"color":                  "",
		"":                       "",
		strings.Repeat("a", 100): "",
	} {
		got, ok := suggest.Nearest(word, known)
		assert.Equal(t, want, got, word)
		assert.Equal(t, want != "", ok, word)
	}
	_, ok := suggest.Nearest("anything", nil)
	assert.False(t, ok)
}
