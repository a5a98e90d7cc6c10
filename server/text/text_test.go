package text_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lmittmann/tint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/server/text"
)

// nasty has one of each kind: newline, ANSI, C1, bidi, zero width, line separator,
// a tag character beyond the basic plane, bytes that are no text.
const nasty = "a\nb\x1b[31m\u009b2J\u202egnp\u200b\u2028\U000e0041\xff"

func TestEscape(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "grün, 日本 <b>", text.Escape("grün, 日本 <b>"))
	assert.Equal(t, `a\nb\x1b[31m\u009b2J\u202egnp\u200b\u2028\U000e0041�`, text.Escape(nasty))
}

func harmless(t *testing.T, got string) {
	t.Helper()
	assert.True(t, utf8.ValidString(got))
	assert.Equal(t, -1, strings.IndexFunc(strings.ReplaceAll(got, "\n", ""), text.Hostile), "%q", got)
}

// Both forms of the log are harmless, whatever a value holds, and JSON stays JSON.
func TestLogsAreHarmless(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(text.JSONWriter(&out), nil)).Info("m", slog.String("k", nasty), slog.Any("error", assert.AnError))
	harmless(t, out.String())
	assert.Equal(t, 1, strings.Count(out.String(), "\n"))
	var back map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &back))
	assert.Equal(t, strings.ToValidUTF8(nasty, "\uFFFD"), back["k"])

	out.Reset()
	slog.New(tint.NewTextHandler(&out, &tint.Options{NoColor: true})).Info("m", slog.String("k", nasty))
	harmless(t, out.String())
	assert.Equal(t, 1, strings.Count(out.String(), "\n"))
}

func FuzzEscape(f *testing.F) {
	f.Add(nasty)
	f.Fuzz(func(t *testing.T, s string) {
		require.Equal(t, -1, strings.IndexFunc(text.Escape(s), text.Hostile))
		raw, err := json.MarshalIndent(map[string]string{"k": s}, "", "  ")
		require.NoError(t, err)
		var was, is map[string]string
		require.NoError(t, json.Unmarshal(raw, &was))
		require.NoError(t, json.Unmarshal([]byte(text.EscapeJSON(string(raw))), &is))
		require.Equal(t, was, is)
	})
}

func TestCut(t *testing.T) {
	t.Parallel()
	for want, most := range map[string]int{"grün, 日本": 13, "grün, …": 12, "gr…": 6, "…": 3} {
		got := text.Cut("grün, 日本", most)
		assert.Equal(t, want, got)
		assert.LessOrEqual(t, len(got), most)
	}
}
