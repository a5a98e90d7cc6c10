package openapi

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"slices"

	"buf.build/go/protovalidate"
	"go.yaml.in/yaml/v3"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

//go:embed base.yaml
var base []byte

// details are what errors carry.
var details = []proto.Message{&errdetails.ErrorInfo{}, &errdetails.BadRequest{}, &errdetails.PreconditionFailure{}, &errdetails.RetryInfo{}}

// Generate is the document of the services in files, which are of one package.
func Generate(files []protoreflect.FileDescriptor) ([]byte, error) {
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("protovalidate: %w", err)
	}
	g := &generator{schemas: schemas{
		pkg: files[0].Package(), validator: validator, done: map[string]*Schema{}, open: map[protoreflect.FullName]bool{},
	}}
	services := g.services(files)
	if len(services) == 0 {
		return nil, errors.New("no service in these files")
	}
	for _, detail := range details {
		md := detail.ProtoReflect().Descriptor()
		g.answer(md)
		if _, err := g.message(md); err != nil {
			return nil, err
		}
	}
	for _, service := range services {
		if err := g.service(service); err != nil {
			return nil, err
		}
	}
	return g.document()
}

// generator collects what goes into the document beside base.yaml.
type generator struct {
	schemas

	permission protoreflect.ExtensionType
	tags       []tag
	paths      Map[*pathItem]
}

// services are those of the files, by name, once it is known what is answered.
func (g *generator) services(files []protoreflect.FileDescriptor) []protoreflect.ServiceDescriptor {
	var out []protoreflect.ServiceDescriptor
	for _, file := range files {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			out = append(out, service)
			for j := range service.Methods().Len() {
				g.answer(service.Methods().Get(j).Output())
			}
		}
		if g.permission == nil {
			g.permission = permissionOf(file)
		}
	}
	slices.SortFunc(out, func(a, b protoreflect.ServiceDescriptor) int {
		return bytes.Compare([]byte(a.FullName()), []byte(b.FullName()))
	})
	return out
}

func (g *generator) service(service protoreflect.ServiceDescriptor) error {
	g.tags = append(g.tags, tag{Name: g.name(service), Description: described(service)})
	for i := range service.Methods().Len() {
		method := service.Methods().Get(i)
		item, err := g.method(method)
		if err != nil {
			return fmt.Errorf("%s: %w", method.FullName(), err)
		}
		path := "/" + string(service.FullName()) + "/" + string(method.Name())
		g.paths = append(g.paths, Entry[*pathItem]{path, item})
	}
	return nil
}

// method is an RPC as what may be done at its path.
func (g *generator) method(method protoreflect.MethodDescriptor) (*pathItem, error) {
	if method.IsStreamingClient() {
		return nil, errors.New("streams of requests have no form here yet")
	}
	in, err := g.message(method.Input())
	if err != nil {
		return nil, err
	}
	out, err := g.message(method.Output())
	if err != nil {
		return nil, err
	}
	right, err := g.right(method)
	if err != nil {
		return nil, err
	}
	service := g.name(method.Parent())
	post := operation{
		ID: service + "_" + string(method.Name()), Tags: []string{service}, Permission: right,
		Summary: first(described(method)), Description: described(method) + "\n\n" + right.String(),
		Parameters: parameters("ProtocolVersion", "Timeout"),
	}
	if method.IsStreamingServer() {
		return &pathItem{Post: post.streaming(in, out)}, nil
	}
	options, _ := method.Options().(*descriptorpb.MethodOptions)
	item := &pathItem{}
	if options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS {
		item.Get = post.get(in, out)
	}
	item.Post = post.unary(in, out)
	return item, nil
}

// unary sends the request as the body.
func (o operation) unary(in, out *Schema) *operation {
	o.Body = &body{Required: true, Content: content("application/json", in)}
	o.Responses = responses("The answer.", "application/json", out)
	return &o
}

// get sends the request in the URL.
func (o operation) get(in, out *Schema) *operation {
	o.ID += "_get"
	o.Summary += " (by GET)"
	o.Parameters = append(parameters("Version", "Encoding", "Base64", "Compression", "Timeout"), parameter{
		Name: "message", In: "query", Required: true, Description: "The request.", Content: content("application/json", in),
	})
	o.Responses = responses("The answer.", "application/json", out)
	return &o
}

// streaming answers with any number of messages, each in an envelope.
func (o operation) streaming(in, out *Schema) *operation {
	o.Description += "\n\nA stream of Connect: request and answers are enveloped, each message after a byte of flags and its length in " +
		"four bytes, big-endian; the last envelope, of flags 2, holds `{}` or `{\"error\": …}`. `/events` sends the same messages " +
		"without envelopes. The schemas are those of one message."
	o.Body = &body{Required: true, Content: content("application/connect+json", in)}
	o.Responses = responses("Messages as they come. Errors are told at the end of the stream, under status 200, but for those of callers who are not let in.", "application/connect+json", out)
	return &o
}

func parameters(names ...string) []parameter {
	out := make([]parameter, len(names))
	for i, name := range names {
		out[i] = parameter{Ref: "#/components/parameters/" + name}
	}
	return out
}

func responses(text, kind string, schema *Schema) Map[*response] {
	return Map[*response]{
		{"200", &response{Description: text, Content: content(kind, schema)}},
		{"default", &response{Ref: "#/components/responses/Error"}},
	}
}

// document is base.yaml with all that was collected.
func (g *generator) document() ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(base, &document); err != nil {
		return nil, fmt.Errorf("base.yaml: %w", err)
	}
	names := make([]string, 0, len(g.done))
	for name := range g.done {
		names = append(names, name)
	}
	slices.Sort(names)
	components := make(Map[*Schema], len(names))
	for i, name := range names {
		components[i] = Entry[*Schema]{name, g.done[name]}
	}
	root := document.Content[0]
	for _, part := range []struct {
		value any
		path  []string
	}{{g.tags, []string{"tags"}}, {g.paths, []string{"paths"}}, {components, []string{"components", "schemas"}}} {
		if err := extend(root, part.value, part.path...); err != nil {
			return nil, fmt.Errorf("%v: %w", part.path, err)
		}
	}
	var out bytes.Buffer
	out.WriteString("# Made by make generate from proto/ and proto/openapi/base.yaml. Do not edit.\n")
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return nil, fmt.Errorf("write the document: %w", err)
	}
	return out.Bytes(), nil
}

// extend appends the entries of value to the collection at a path.
func extend(node *yaml.Node, value any, path ...string) error {
	for _, key := range path {
		i := slices.IndexFunc(node.Content, func(n *yaml.Node) bool { return n.Value == key })
		if i < 0 || i+1 >= len(node.Content) {
			return fmt.Errorf("base.yaml has no %q", key)
		}
		node = node.Content[i+1]
	}
	var more yaml.Node
	if err := more.Encode(value); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	node.Content = append(node.Content, more.Content...)
	return nil
}
