package devcluster

import (
	"embed"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// annotationPrefix begins every annotation that steers the simulation; the
// README lists them.
const annotationPrefix = "sim.rightsizer.dev/"

//go:embed stages
var stageFiles embed.FS

// stageDocuments returns all documents that kwok is configured with, as one
// YAML stream. In a stage, @name@ stands for the text of stages/parts/name.*:
// kwok's templates and jq expressions know no includes across stages, and the
// same few definitions serve in many.
func stageDocuments() (string, error) {
	parts, err := readFolder("stages/parts")
	if err != nil {
		return "", err
	}
	stages, err := readFolder("stages")
	if err != nil {
		return "", err
	}
	var replacements []string
	for name, text := range parts {
		replacements = append(replacements, "@"+name+"@", text)
	}
	var documents []string
	for _, name := range slices.Sorted(maps.Keys(stages)) {
		text := stages[name]
		for range maxNesting {
			text = expand(text, replacements)
		}
		documents = append(documents, text)
	}
	return strings.Join(documents, "\n---\n"), nil
}

// maxNesting is how deep parts may stand within parts.
const maxNesting = 2

// expand puts the parts into a text, each further line of a part indented as
// the line that names it. replacements are pairs of old and new.
func expand(text string, replacements []string) string {
	lines := strings.Split(text, "\n")
	for n, line := range lines {
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		for i := 0; i+1 < len(replacements); i += 2 {
			part := strings.ReplaceAll(strings.TrimSpace(replacements[i+1]), "\n", "\n"+indent)
			line = strings.ReplaceAll(line, replacements[i], part)
		}
		lines[n] = line
	}
	return strings.Join(lines, "\n")
}

// readFolder returns the text of each file in a folder of stageFiles, by its
// name without extension.
func readFolder(dir string) (map[string]string, error) {
	entries, err := stageFiles.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list stages: %w", err)
	}
	texts := map[string]string{}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		data, err := stageFiles.ReadFile(path.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read stage %s: %w", e.Name(), err)
		}
		texts[strings.TrimSuffix(e.Name(), path.Ext(e.Name()))] = string(data)
	}
	return texts, nil
}
