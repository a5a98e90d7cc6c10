package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Redacted stands for a value that is not known to be harmless.
const Redacted = "[redacted]"

// harmless are fields whose values, and all that lies below, are sizes or counts.
var harmless = map[string]bool{
	"resources": true, "requests": true, "limits": true, "resizePolicy": true,
	"replicas": true, "minReplicas": true, "maxReplicas": true, "parallelism": true, "completions": true, "suspend": true,
}

// identifying are fields whose own value says what object or part is meant. `name`
// is one only where it is not that of an environment variable, whose value would
// be redacted anyway.
var identifying = map[string]bool{
	"apiVersion": true, "kind": true, "name": true, "namespace": true, "uid": true, "resourceVersion": true, "generation": true,
}

// ours are annotations and labels that the operator writes.
func ours(key string) bool {
	return strings.HasPrefix(key, "rightsizer.dev/") || key == "kubectl.kubernetes.io/restartedAt"
}

// Redact returns a diff with each value replaced by [Redacted] that is not a size,
// a count, an identity or an annotation of ours. A diff is a JSON patch (a list of
// operations) or a merge patch (an object); anything else is an error, as is more
// than 16 KiB after it. Empty stays empty.
func Redact(diff string) (string, error) {
	if diff == "" {
		return "", nil
	}
	if len(diff) > 1<<20 {
		return "", fmt.Errorf("has %d bytes; wants a JSON patch of at most %d", len(diff), maxDiff)
	}
	decoder := json.NewDecoder(strings.NewReader(diff))
	decoder.UseNumber() // a quantity is kept as it was written
	var patch any
	if err := decoder.Decode(&patch); err != nil {
		return "", errors.New("is not JSON; wants a JSON patch")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return "", errors.New("goes on after its end; wants one JSON patch")
	}
	var kept any
	switch p := patch.(type) {
	case []any:
		for _, raw := range p {
			operation, ok := raw.(map[string]any)
			if !ok {
				return "", errors.New("has an entry that is no operation; wants {op, path, value}")
			}
			redactOperation(operation)
		}
		kept = p
	case map[string]any:
		kept = redactValue(nil, p)
	default:
		return "", errors.New("wants a JSON patch: a list of operations, or an object")
	}
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(kept); err != nil {
		return "", errors.New("cannot be encoded")
	}
	text := strings.TrimSuffix(out.String(), "\n")
	if len(text) > maxDiff {
		return "", fmt.Errorf("has %d bytes, at most %d are allowed", len(text), maxDiff)
	}
	return text, nil
}

// redactOperation keeps op, path and from, redacts the value by its path, and
// drops what does not belong there.
func redactOperation(operation map[string]any) {
	path, _ := operation["path"].(string)
	for field, value := range operation {
		switch field {
		case "op", "path", "from":
			if _, ok := value.(string); !ok {
				operation[field] = Redacted
			}
		case "value":
			operation[field] = redactValue(segments(path), value)
		default:
			operation[field] = Redacted
		}
	}
}

// segments splits a JSON pointer.
func segments(pointer string) []string {
	parts := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i := range parts {
		parts[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(parts[i])
	}
	return parts
}

// redactValue walks a value that stands at path.
func redactValue(path []string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = redactValue(append(slices.Clip(path), key), inner)
		}
		return v
	case []any:
		for i, inner := range v {
			v[i] = redactValue(append(slices.Clip(path), strconv.Itoa(i)), inner)
		}
		return v
	case nil, bool:
		return v // removed, or a switch
	default:
		if keeps(path, v) {
			return v
		}
		return Redacted
	}
}

// secretive are fields below which nothing is kept, whatever it is called.
var secretive = map[string]bool{
	"env": true, "envFrom": true, "data": true, "stringData": true, "binaryData": true, "args": true, "command": true,
	"volumes": true, "managedFields": true, "token": true, "httpHeaders": true,
}

// size is what a quantity looks like, or a word of an enumeration: nothing that a
// token could hide in.
var size = regexp.MustCompile(`^([+-]?[0-9.]{1,24}([eE][+-]?[0-9]{1,3}|[numkKMGTPE]?i?)|[0-9]{1,3}%|[A-Za-z]{1,32})$`)

// keeps says whether a leaf at path may be kept.
func keeps(path []string, leaf any) bool {
	if len(path) == 0 {
		return false
	}
	for _, field := range path {
		if secretive[field] {
			return false
		}
	}
	text, isText := leaf.(string)
	for i, field := range path {
		// A label or annotation may be called like a field of ours.
		if field == "annotations" || field == "labels" {
			return i+2 == len(path) && ours(path[i+1])
		}
		if harmless[field] {
			return !isText || size.MatchString(text)
		}
	}
	return identifying[path[len(path)-1]]
}
