package openapi

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// described is the comment of a declaration as a description: its lines joined, its
// paragraphs kept.
func described(d protoreflect.Descriptor) string {
	comment := d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments
	var paragraphs []string
	for p := range strings.SplitSeq(comment, "\n\n") {
		if text := strings.Join(strings.Fields(p), " "); text != "" {
			paragraphs = append(paragraphs, text)
		}
	}
	return strings.Join(paragraphs, "\n\n")
}

// first is the first sentence of a text.
func first(text string) string {
	sentence, _, _ := strings.Cut(text, ". ")
	return strings.TrimSuffix(sentence, ".")
}

// join is texts as one, those that are empty left out.
func join(texts ...string) string {
	var out []string
	for _, text := range texts {
		if text != "" {
			out = append(out, text)
		}
	}
	return strings.Join(out, " ")
}
