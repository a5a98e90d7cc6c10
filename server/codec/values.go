package codec

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

const severityPrefix = "SEVERITY_"

var severityName = rightsizerv1.Severity(0).Descriptor().FullName()

// longSeverity turns a short name into the enum's: warning → SEVERITY_WARNING.
func longSeverity(text string) (string, bool) {
	if text == "" || strings.ToLower(text) != text {
		return "", false
	}
	name := severityPrefix + strings.ToUpper(text)
	number, ok := rightsizerv1.Severity_value[name]
	return name, ok && number != 0
}

// shortSeverity turns an enum's name into the short one: SEVERITY_WARNING →
// warning. The unspecified value has no short name and stays.
func shortSeverity(text string) (string, bool) {
	number, ok := rightsizerv1.Severity_value[text]
	if !ok || number == 0 {
		return text, ok
	}
	return strings.ToLower(strings.TrimPrefix(text, severityPrefix)), true
}

// ShortSeverity is the name of a severity as people write it: info, warning,
// error, critical; empty for any other number.
func ShortSeverity(s rightsizerv1.Severity) string {
	name, ok := rightsizerv1.Severity_name[int32(s)]
	if !ok || s == rightsizerv1.Severity_SEVERITY_UNSPECIFIED {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(name, severityPrefix))
}

// ParseSeverity reads a severity by short name or enum name; the unspecified
// one is not accepted.
func ParseSeverity(text string) (rightsizerv1.Severity, error) {
	name, ok := longSeverity(text)
	if !ok {
		name = text
	}
	if number, ok := rightsizerv1.Severity_value[name]; ok && number != 0 {
		return rightsizerv1.Severity(number), nil
	}
	return 0, fmt.Errorf("wants one of %s, not %s",
		strings.Join(enumNames(rightsizerv1.Severity(0).Descriptor()), ", "), Quote(text))
}

func enumNames(ed protoreflect.EnumDescriptor) []string {
	names := make([]string, 0, ed.Values().Len())
	for i := range ed.Values().Len() {
		value := ed.Values().Get(i)
		if value.Number() == 0 {
			continue // "not set" is nothing to wish for
		}
		name := string(value.Name())
		if ed.FullName() == severityName {
			name, _ = shortSeverity(name)
		}
		names = append(names, name)
	}
	return names
}

// isWellKnown tells types whose JSON is not an object of their fields.
func isWellKnown(md protoreflect.MessageDescriptor) bool {
	return md != nil && md.ParentFile().Package() == "google.protobuf"
}

func wellKnownForm(md protoreflect.MessageDescriptor) string {
	switch md.Name() {
	case "Timestamp":
		return `an RFC 3339 time such as "2026-01-31T12:00:00Z"`
	case "Duration":
		return `a duration in seconds such as "90s" or "1.5s"`
	default:
		return "the JSON form of " + string(md.FullName())
	}
}

// numeral returns the text of a number, which proto-JSON also takes as a string.
func numeral(tok json.Token) (string, bool) {
	switch v := tok.(type) {
	case json.Number:
		return v.String(), true
	case string:
		return v, v != "" && strings.TrimSpace(v) == v
	default:
		return "", false
	}
}

func isFloat(text string) bool {
	_, err := strconv.ParseFloat(text, 64)
	return err == nil
}

// isWhole accepts 5, 5.0 and 5e0, as proto-JSON does.
func isWhole(text string, low, high float64) bool {
	if low < 0 {
		if v, err := strconv.ParseInt(text, 10, 64); err == nil {
			return float64(v) >= low && float64(v) <= high
		}
	} else if v, err := strconv.ParseUint(text, 10, 64); err == nil {
		return float64(v) <= high
	}
	f, err := strconv.ParseFloat(text, 64)
	return err == nil && f == math.Trunc(f) && f >= low && f <= high
}

func bounds(kind protoreflect.Kind) (low, high float64) {
	switch kind {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return math.MinInt32, math.MaxInt32
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return 0, math.MaxUint32
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return 0, math.MaxUint64
	default:
		return math.MinInt64, math.MaxInt64
	}
}

// describe names a JSON value for an error message.
func describe(tok json.Token) string {
	switch v := tok.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return Cut(v.String())
	case string:
		return Quote(v)
	case json.Delim:
		if v == '{' || v == '}' {
			return "an object"
		}
		return "a list"
	default:
		return fmt.Sprintf("%T", tok)
	}
}

// maxEcho bounds what of the client's own text an error repeats.
const maxEcho = 64

// Quote repeats text of a client within an error: bounded, and with control
// and bidirectional characters escaped, since errors end in terminals and logs.
func Quote(text string) string {
	return strconv.QuoteToGraphic(Cut(text))
}

// Cut shortens text of a client to 64 bytes at the border of a character.
func Cut(text string) string {
	if len(text) <= maxEcho {
		return text
	}
	end := maxEcho
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// join appends a key to a path. A key that is no plain name is quoted, so that
// a path is never longer or stranger than what it names.
func join(path, name string) string {
	for _, r := range name {
		plain := r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !plain {
			name = Quote(name)
			break
		}
	}
	name = Cut(name)
	if path == "" {
		return name
	}
	return path + "." + name
}
