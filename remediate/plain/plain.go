// Package plain makes one harmless line of what others wrote: people, webhooks,
// kubelets. What goes into statuses, audit records and Kubernetes Events is read on
// terminals, where a character that is not seen can move a cursor, forge a line or
// turn text around.
package plain

import (
	"strings"
	"unicode"
)

// Line is text of at most so many bytes, cut at a character: valid UTF-8, with a space
// for each control character and each invisible one.
func Line(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:max(most, 0)], "")
}
