package replay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/watcher/replay"
)

// FuzzReader: no file makes the decoder or the player panic or hang, whatever is
// told of it fits on a terminal, and every line is played or told.
func FuzzReader(f *testing.F) {
	f.Add([]byte(header + line("10:00:11", "pods", "ADDED", pod("0", killed))))
	f.Add([]byte(header + line("10:00:01", "pods", "RELIST", "") + line("10:00:11", "pods", "ADDED", pod("2", running)) +
		line("10:00:12", "pods", "SYNCED", "") + line("10:00:12", "pods", "ERROR", `{"code":410}`) + line("10:30:00", "events", "BOOKMARK", "")))
	f.Add([]byte(header + "\n{}\nnull\n[]\n" + line("99:99:99", "x", "DELETED", "{}")))
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		in, err := replay.NewReader("f", bytes.NewReader(raw))
		if err != nil {
			if len(err.Error()) > 1<<10 {
				t.Errorf("long: %d bytes", len(err.Error()))
			}
			return
		}
		told := 0
		out := &published{}
		result, err := replay.Replay(t.Context(), in, replay.Options{
			Publisher: out, Logger: noPanic(t), Told: func(*replay.LineError) { told++ },
		})
		if result == nil || told != result.Wrong {
			t.Fatalf("%d told, %v, %v", told, result, err)
		}
		for _, e := range out.events {
			if err := protovalidate.Validate(e); err != nil {
				t.Error(err)
			}
		}
	})
}

// noPanic logs nowhere, and fails the test for each panic that the watcher
// survived.
func noPanic(t *testing.T) *slog.Logger {
	t.Helper()
	return slog.New(panics{slog.DiscardHandler, t})
}

type panics struct {
	slog.Handler

	t *testing.T
}

func (panics) Enabled(context.Context, slog.Level) bool { return true }

func (p panics) WithAttrs([]slog.Attr) slog.Handler { return p }

func (p panics) WithGroup(string) slog.Handler { return p }

func (p panics) Handle(_ context.Context, r slog.Record) error {
	var attrs []slog.Attr
	panicked := false
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		panicked = panicked || a.Key == "panic"
		return true
	})
	if panicked {
		p.t.Errorf("%s: %v", r.Message, attrs)
	}
	return nil
}

// objects are a recording's lines with an object, each form once.
func objects(tb testing.TB) []replay.Line {
	tb.Helper()
	var out []replay.Line
	seen := map[string]bool{}
	for _, name := range []string{"real-node", "real-node-others", "mixed"} {
		file, err := os.Open(filepath.Join(recordings, name+".jsonl.gz"))
		require.NoError(tb, err)
		in, err := replay.NewReader(name, file)
		require.NoError(tb, err)
		for {
			l, err := in.Next()
			if err != nil {
				break
			}
			if l.Type != replay.Modified && l.Type != replay.Added || len(l.Object) == 0 || seen[string(l.Object)] {
				continue
			}
			seen[string(l.Object)] = true
			out = append(out, l)
		}
		require.NoError(tb, file.Close())
	}
	return out
}

// FuzzMutatedObjects puts a foreign value in one place of an object of a real
// cluster: nothing panics, and what follows is the object, one line told, or
// one object in quarantine.
func FuzzMutatedObjects(f *testing.F) {
	lines := objects(f)
	for _, value := range []string{
		`""`, `null`, `{}`, `[]`, `[null]`, `[{}]`, `-1`, `9223372036854775807`, `1e300`, `"\u0000"`, `"-1Ki"`, `"9223372036854775807E"`,
		`"0001-01-01T00:00:00Z"`, `"9999-12-31T23:59:59Z"`, `"` + strings.Repeat("ä\u202e", 300) + `"`, `{"terminated":{}}`,
		`[{"name":"app","state":{"terminated":{"exitCode":-2147483648,"finishedAt":"9999-12-31T23:59:59Z"}},"restartCount":-2147483648}]`,
	} {
		for n := range uint16(8) {
			f.Add(n*331, n*57, []byte(value))
		}
	}
	f.Fuzz(func(t *testing.T, which, place uint16, value []byte) {
		var foreign any
		if json.Unmarshal(value, &foreign) != nil {
			return
		}
		good := lines[int(which)%len(lines)]
		bad := good
		bad.Object = mutate(t, good.Object, int(place), foreign)
		var text bytes.Buffer
		text.WriteString(header)
		enc := json.NewEncoder(&text)
		at := good.Time.Add(time.Second)
		for _, l := range []replay.Line{
			{Resource: bad.Resource, Type: replay.Relist},
			{Resource: bad.Resource, Type: replay.Added, Object: bad.Object},
			{Resource: bad.Resource, Type: replay.Synced},
			{Resource: bad.Resource, Type: replay.Modified, Object: good.Object},
			{Resource: bad.Resource, Type: replay.Modified, Object: bad.Object},
			{Resource: bad.Resource, Type: replay.Deleted, Object: bad.Object},
			{Resource: bad.Resource, Type: replay.Added, Object: good.Object},
		} {
			l.Time, at = at, at.Add(time.Hour)
			if err := enc.Encode(l); err != nil {
				return
			}
		}
		in, err := replay.NewReader("f", &text)
		require.NoError(t, err)
		out := &published{}
		result, err := replay.Replay(t.Context(), in, replay.Options{Publisher: out, Logger: noPanic(t)})
		require.NoError(t, err)
		for _, e := range out.events {
			if err := protovalidate.Validate(e); err != nil {
				t.Errorf("%v: %s", err, eventLine(e))
			}
		}
		if text := reasons(result.Watcher); strings.Contains(text, "not understood: "+goodName(t, good)+"\n") {
			t.Errorf("whole again, but not released: %s", text)
		}
	})
}

func goodName(t *testing.T, l replay.Line) string {
	t.Helper()
	return strings.TrimPrefix(nameOf(t, l), "/")
}

// mutate replaces one value of an object; a map's keys count in order.
func mutate(t *testing.T, raw []byte, place int, foreign any) []byte {
	t.Helper()
	var object any
	require.NoError(t, json.Unmarshal(raw, &object))
	count := places(object)
	at := place % max(count, 1)
	out, err := json.Marshal(replaced(object, &at, foreign))
	require.NoError(t, err)
	return out
}

func places(v any) int {
	n := 0
	switch v := v.(type) {
	case map[string]any:
		for _, below := range v {
			n += 1 + places(below)
		}
	case []any:
		for _, below := range v {
			n += 1 + places(below)
		}
	}
	return n
}

func replaced(v any, at *int, foreign any) any {
	step := func(below any) any {
		if *at == 0 {
			*at = -1
			return foreign
		}
		*at--
		return replaced(below, at, foreign)
	}
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			if *at >= 0 {
				v[key] = step(v[key])
			}
		}
	case []any:
		for i := range v {
			if *at >= 0 {
				v[i] = step(v[i])
			}
		}
	}
	return v
}
