package config

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Print writes the configuration in force as a file that Load reads back, with
// the place of each value as a comment.
func Print(w io.Writer, r Result) error {
	values := Values(r)
	lines := make([]string, len(values))
	width := 0
	for i, v := range values {
		lines[i] = v.Key + ": " + yamlScalar(v.Value, v.kind)
		width = max(width, len(lines[i]))
	}
	for i, v := range values {
		if _, err := fmt.Fprintf(w, "%-*s  # %s\n", min(width, 60), lines[i], v.Place); err != nil {
			return fmt.Errorf("print the configuration: %w", err)
		}
	}
	return nil
}

// Value is one setting in force.
type Value struct {
	Key string `json:"key"`
	// Value is as the file has it; sinks are a list in YAML's flow style.
	Value string `json:"value"`
	// Place is where it comes from, for people.
	Place string `json:"place"`

	kind string
}

// Values are the settings in force, in the order of the reference.
func Values(r Result) []Value {
	var out []Value
	settings := Settings()
	for i := range settings {
		if s := &settings[i]; s.get != nil {
			out = append(out, Value{Key: s.Key, Value: s.get(&r.Config), Place: r.Source.Place(s.Key), kind: s.Kind})
		}
	}
	return out
}

// yamlScalar quotes what YAML would read as something else.
func yamlScalar(value, kind string) string {
	switch kind {
	case "bool", "number", "duration", "size", "list":
		return value
	default:
		return strconv.Quote(value)
	}
}

// Reference is the table of README.md in Markdown.
func Reference() string {
	var out strings.Builder
	out.WriteString("| flag, key | environment | default | values | in the file | meaning |\n|---|---|---|---|---|---|\n")
	settings := Settings()
	for i := range settings {
		s := &settings[i]
		flag, env := "`--"+s.Key+"`", "`"+s.Env()+"`"
		if s.FileOnly() {
			flag, env = "`"+s.Key+"`", "–"
		}
		if s.AlsoEnv != "" {
			env += ", `" + s.AlsoEnv + "`"
		}
		value := "–"
		if s.Default != "" {
			value = "`" + s.Default + "`"
		}
		changes := "restart"
		switch {
		case s.Live:
			changes = "live"
		case s.Key == ConfigKey:
			changes = "–"
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | %s |\n", flag, env, value, s.Bounds, changes, s.Help)
	}
	return out.String()
}

// Schema is what a file may have, as the properties of a JSON Schema, a line for each
// setting but those that somebody else sets. It finds typos early, and what YAML makes of
// a text without quotes (off is false, 0123 is 83); what fits it is not therefore good,
// which Load says.
func Schema(without ...string) []string {
	var lines []string
	settings := Settings()
	for i := range settings {
		s := &settings[i]
		if slices.Contains(without, s.Key) {
			continue
		}
		lines = append(lines, strconv.Quote(s.Key)+": "+cmp.Or(s.schema, `{"type": "string"}`))
	}
	return lines
}

// quote repeats a value within a message, with nothing in it that could play
// tricks on a terminal, and bounded.
func quote(value string) string {
	const most = 80
	if len(value) > most {
		value = value[:most] + "…"
	}
	return strconv.QuoteToASCII(strings.TrimSpace(value))
}

func quoteKey(key string) string {
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) || len(key) > 80 || key == "" {
		return quote(key)
	}
	return key
}
