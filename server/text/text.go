// Package text makes text of a cluster harmless where it leaves the operator for a
// person: terminals and logs. Names, messages and reasons come from pods, webhooks
// and users; with a control character they could move a cursor, forge a line or
// hide what follows, with an invisible one reorder what is read.
//
// [Escape] writes such characters out for people, [EscapeJSON] within JSON, and
// [JSONWriter] for whatever writes JSON lines. [Cut] keeps to a bound. Pages and webhooks carry JSON, which
// escapes for itself and is never markup; the watcher cleans what it takes in.
package text

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Hostile says whether a character can move a cursor, hide or reorder text:
// control characters, and invisible ones such as bidirectional marks.
func Hostile(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}

// Escape writes hostile characters out as \x1b or \u202e, line breaks as \n.
func Escape(text string) string {
	return escapeWith(text, Hostile, func(r rune) string {
		quoted := strconv.QuoteRuneToASCII(r)
		return quoted[1 : len(quoted)-1]
	})
}

// EscapeJSON does the same within JSON, where \u is an escape of its own; control
// characters below U+0020 are escaped within its strings already, and between them
// they are white space.
func EscapeJSON(text string) string {
	return escapeWith(text, func(r rune) bool { return r >= ' ' && Hostile(r) }, func(r rune) string {
		if r > 0xffff {
			high, low := surrogates(r)
			return fmt.Sprintf(`\u%04x\u%04x`, high, low)
		}
		return fmt.Sprintf(`\u%04x`, r)
	})
}

func surrogates(r rune) (high, low rune) {
	r -= 0x10000
	return 0xd800 + r>>10, 0xdc00 + r&0x3ff
}

// Cut shortens text to at most most bytes, 3 or more, at a character, and shows that it
// did.
func Cut(text string, most int) string {
	const mark = "…"
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:max(most-len(mark), 0)], "") + mark
}

func escapeWith(text string, hostile func(rune) bool, write func(rune) string) string {
	if utf8.ValidString(text) && strings.IndexFunc(text, hostile) < 0 {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if hostile(r) {
			out.WriteString(write(r))
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}

// JSONWriter escapes what is written to w: JSON, whole strings of it at a time, as
// log handlers write it.
func JSONWriter(w io.Writer) io.Writer { return jsonWriter{w} }

type jsonWriter struct{ w io.Writer }

func (j jsonWriter) Write(p []byte) (int, error) {
	escaped := EscapeJSON(string(p))
	if _, err := io.WriteString(j.w, escaped); err != nil {
		return 0, err //nolint:wrapcheck // nothing to add
	}
	return len(p), nil
}
