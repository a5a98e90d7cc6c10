package openapi

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Map is a mapping that is written in the order of its entries.
type Map[T any] []Entry[T]

// Entry is one of a Map.
type Entry[T any] struct {
	Key   string
	Value T
}

// MarshalYAML implements yaml.Marshaler.
func (m Map[T]) MarshalYAML() (any, error) {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for _, e := range m {
		key, value := &yaml.Node{}, &yaml.Node{}
		if err := key.Encode(e.Key); err != nil {
			return nil, fmt.Errorf("key %q: %w", e.Key, err)
		}
		if err := value.Encode(e.Value); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Key, err)
		}
		node.Content = append(node.Content, key, value)
	}
	return node, nil
}

// Schema is a JSON Schema of draft 2020-12, as far as protos need it.
type Schema struct {
	Ref              string       `yaml:"$ref,omitempty"`
	Title            string       `yaml:"title,omitempty"`
	Description      string       `yaml:"description,omitempty"`
	Type             string       `yaml:"type,omitempty"`
	Format           string       `yaml:"format,omitempty"`
	ContentEncoding  string       `yaml:"contentEncoding,omitempty"`
	Const            any          `yaml:"const,omitempty"`
	Enum             []string     `yaml:"enum,omitempty"`
	MinLength        *uint64      `yaml:"minLength,omitempty"`
	MaxLength        *uint64      `yaml:"maxLength,omitempty"`
	Pattern          string       `yaml:"pattern,omitempty"`
	Minimum          any          `yaml:"minimum,omitempty"`
	ExclusiveMinimum any          `yaml:"exclusiveMinimum,omitempty"`
	Maximum          any          `yaml:"maximum,omitempty"`
	ExclusiveMaximum any          `yaml:"exclusiveMaximum,omitempty"`
	Items            *Schema      `yaml:"items,omitempty"`
	MinItems         *uint64      `yaml:"minItems,omitempty"`
	MaxItems         *uint64      `yaml:"maxItems,omitempty"`
	UniqueItems      bool         `yaml:"uniqueItems,omitempty"`
	Properties       Map[*Schema] `yaml:"properties,omitempty"`
	Required         []string     `yaml:"required,omitempty"`
	Additional       any          `yaml:"additionalProperties,omitempty"` // *Schema or false
	PropertyNames    *Schema      `yaml:"propertyNames,omitempty"`
	MinProperties    *uint64      `yaml:"minProperties,omitempty"`
	MaxProperties    *uint64      `yaml:"maxProperties,omitempty"`
	AllOf            []*Schema    `yaml:"allOf,omitempty"`
	AnyOf            []*Schema    `yaml:"anyOf,omitempty"`
	OneOf            []*Schema    `yaml:"oneOf,omitempty"`
	Not              *Schema      `yaml:"not,omitempty"`
}

// pathItem is what may be done at one path.
type pathItem struct {
	Get  *operation `yaml:"get,omitempty"`
	Post *operation `yaml:"post,omitempty"`
}

// operation is an RPC in one of its forms.
type operation struct {
	ID          string         `yaml:"operationId"`
	Tags        []string       `yaml:"tags"`
	Summary     string         `yaml:"summary"`
	Description string         `yaml:"description"`
	Permission  permission     `yaml:"x-permission"`
	Parameters  []parameter    `yaml:"parameters,omitempty"`
	Body        *body          `yaml:"requestBody,omitempty"`
	Responses   Map[*response] `yaml:"responses"`
}

// permission is the right that a caller needs.
type permission struct {
	Group         string `yaml:"group"`
	Resource      string `yaml:"resource"`
	Verb          string `yaml:"verb"`
	ClusterScoped bool   `yaml:"clusterScoped"`
}

type parameter struct {
	Ref         string      `yaml:"$ref,omitempty"`
	Name        string      `yaml:"name,omitempty"`
	In          string      `yaml:"in,omitempty"`
	Description string      `yaml:"description,omitempty"`
	Required    bool        `yaml:"required,omitempty"`
	Content     Map[*media] `yaml:"content,omitempty"`
}

type body struct {
	Required bool        `yaml:"required"`
	Content  Map[*media] `yaml:"content"`
}

type response struct {
	Ref         string      `yaml:"$ref,omitempty"`
	Description string      `yaml:"description,omitempty"`
	Content     Map[*media] `yaml:"content,omitempty"`
}

type media struct {
	Schema *Schema `yaml:"schema"`
}

type tag struct {
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
}

func ref(component string) *Schema { return &Schema{Ref: "#/components/schemas/" + component} }

func content(kind string, schema *Schema) Map[*media] {
	return Map[*media]{{Key: kind, Value: &media{Schema: schema}}}
}
