package manifests

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The marks between which the README's table of values stands.
const (
	tableBegin = "<!-- begin: values, by make generate -->\n"
	tableEnd   = "<!-- end -->"
)

// chartReadme is the chart's README with the table of values as it ought to be.
func chartReadme(chart string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(chart, "README.md"))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	values, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	table, err := Table(values)
	if err != nil {
		return nil, err
	}
	before, rest, found := strings.Cut(string(text), tableBegin)
	_, after, ended := strings.Cut(rest, tableEnd)
	if !found || !ended {
		return nil, errors.New("deploy/helm/README.md: the marks of the table of values are missing")
	}
	return []byte(before + tableBegin + table + tableEnd + after), nil
}

// Table describes values.yaml as helm-docs does: each value that is described, by a
// comment `# -- …` above it, with its default. A value without one is an error.
func Table(values []byte) (string, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(values, &doc); err != nil {
		return "", fmt.Errorf("values.yaml: %w", err)
	}
	if len(doc.Content) != 1 {
		return "", errors.New("values.yaml: want one document")
	}
	var b strings.Builder
	b.WriteString("| key | default | meaning |\n|---|---|---|\n")
	if err := describe(&b, "", doc.Content[0]); err != nil {
		return "", err
	}
	return b.String(), nil
}

func describe(b *strings.Builder, prefix string, node *yaml.Node) error {
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		name := prefix + key.Value
		comment, described := strings.CutPrefix(strings.ReplaceAll(key.HeadComment, "\n# ", " "), "# -- ")
		if !described {
			if value.Kind != yaml.MappingNode || len(value.Content) == 0 {
				return fmt.Errorf("values.yaml, line %d: %s wants a comment that begins with `# -- `", key.Line, name)
			}
			if err := describe(b, name+".", value); err != nil {
				return err
			}
			continue
		}
		var plain any
		if err := value.Decode(&plain); err != nil {
			return fmt.Errorf("values.yaml: %s: %w", name, err)
		}
		shown, err := json.Marshal(plain)
		if err != nil {
			return fmt.Errorf("values.yaml: %s: %w", name, err)
		}
		fmt.Fprintf(b, "| `%s` | `%s` | %s |\n", name, shown, strings.ReplaceAll(comment, "|", `\|`))
	}
	return nil
}
