package config

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Print writes the configuration in force as a file that Load reads back, with
// the place of each value as a comment.
func Print(w io.Writer, r Result) error {
	settings := Settings()
	lines := make([]string, 0, len(settings))
	width := 0
	for i := range settings {
		s := &settings[i]
		if s.get == nil {
			continue
		}
		line := s.Key + ": " + yamlScalar(s.get(&r.Config), s.Kind)
		lines = append(lines, line)
		width = max(width, len(line))
	}
	at := 0
	for i := range settings {
		s := &settings[i]
		if s.get == nil {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-*s  # %s\n", min(width, 60), lines[at], r.Source.Place(s.Key)); err != nil {
			return fmt.Errorf("print the configuration: %w", err)
		}
		at++
	}
	return nil
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
	out.WriteString("| flag, key | environment | default | values | meaning |\n|---|---|---|---|---|\n")
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
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n", flag, env, value, s.Bounds, s.Help)
	}
	return out.String()
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
