package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/rightsizer/rightsizer/server/suggest"
)

// maxDepth bounds the nesting of messages; the schema's deepest has six levels.
const maxDepth = 64

// walker follows a JSON text along a message descriptor. It finds what is wrong
// together with the path of the field, which protojson's own errors lack, and
// notes the places where a severity has to be written in another form.
type walker struct {
	data  []byte
	dec   *json.Decoder
	edits []edit
	// severity returns what is to stand in place of a severity given as a
	// string, or false where no severity is called that.
	severity func(string) (string, bool)
	// left is how many entries of lists and maps there may still be.
	left int
}

// edit replaces data[start:end], a JSON string with its quotes.
type edit struct {
	start, end int
	text       string
}

// walk checks data against md and returns it with all edits made. The result is
// data itself where there are none.
func walk(data []byte, md protoreflect.MessageDescriptor, severity func(string) (string, bool), elements int) ([]byte, error) {
	w := &walker{data: data, dec: json.NewDecoder(bytes.NewReader(data)), severity: severity, left: elements}
	w.dec.UseNumber()
	tok, err := w.token("")
	if err != nil {
		return nil, err
	}
	if err := w.message(tok, md, "", 0); err != nil {
		return nil, err
	}
	if _, err := w.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, &FieldError{Reason: "one JSON object is wanted, but something follows it"}
	}
	return w.apply(), nil
}

func (w *walker) apply() []byte {
	if len(w.edits) == 0 {
		return w.data
	}
	out, at := make([]byte, 0, len(w.data)+16*len(w.edits)), 0
	for _, e := range w.edits {
		out = append(out, w.data[at:e.start]...)
		out = strconv.AppendQuote(out, e.text)
		at = e.end
	}
	return append(out, w.data[at:]...)
}

// token reads the next token; path says where, for the error.
func (w *walker) token(path string) (json.Token, error) {
	tok, err := w.dec.Token()
	if err == nil {
		return tok, nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, &FieldError{Path: path, Reason: "the JSON ends too early"}
	}
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return nil, &FieldError{Path: path, Reason: fmt.Sprintf("not JSON at byte %d: %s", syntax.Offset, syntax.Error())}
	}
	return nil, &FieldError{Path: path, Reason: "not JSON: " + err.Error()}
}

// message walks the object that begins with tok.
func (w *walker) message(tok json.Token, md protoreflect.MessageDescriptor, path string, depth int) error {
	if tok != json.Delim('{') {
		return &FieldError{Path: path, Reason: "wants a JSON object, not " + describe(tok)}
	}
	if depth >= maxDepth {
		return &FieldError{Path: path, Reason: fmt.Sprintf("nested deeper than %d levels", maxDepth)}
	}
	seen := make(map[protoreflect.FieldNumber]struct{}, 8)
	oneofs := map[protoreflect.FullName]string{}
	for w.dec.More() {
		tok, err := w.token(path)
		if err != nil {
			return err
		}
		name, _ := tok.(string) // within an object the decoder yields only string keys
		at := join(path, name)
		fd := field(md, name)
		if fd == nil {
			return unknownField(md, at, name)
		}
		if _, twice := seen[fd.Number()]; twice {
			return &FieldError{Path: at, Reason: "given twice"}
		}
		seen[fd.Number()] = struct{}{}
		set, err := w.field(fd, at, depth)
		if err != nil {
			return err
		}
		if od := fd.ContainingOneof(); od != nil && set {
			if other, clash := oneofs[od.FullName()]; clash {
				return &FieldError{Path: at, Reason: "cannot be set together with " + other}
			}
			oneofs[od.FullName()] = name
		}
	}
	_, err := w.token(path) // the closing brace
	return err
}

// field walks one field's value and says whether it was anything but null.
func (w *walker) field(fd protoreflect.FieldDescriptor, path string, depth int) (bool, error) {
	if isWellKnown(fd.Message()) && !fd.IsList() && !fd.IsMap() {
		return true, w.wellKnown(fd.Message(), path)
	}
	tok, start, err := w.value(path)
	if err != nil || tok == nil { // null leaves a field unset
		return false, err
	}
	switch {
	case fd.IsList():
		return true, w.list(tok, fd, path, depth)
	case fd.IsMap():
		return true, w.mapping(tok, fd, path, depth)
	case fd.Message() != nil:
		return true, w.message(tok, fd.Message(), path, depth+1)
	default:
		return true, w.scalar(tok, start, fd, path)
	}
}

// value reads a token that begins a value, and where in data it begins.
func (w *walker) value(path string) (json.Token, int, error) {
	before := w.dec.InputOffset()
	tok, err := w.token(path)
	if err != nil {
		return nil, 0, err
	}
	skipped := bytes.TrimLeft(w.data[before:], " \t\r\n:,")
	return tok, len(w.data) - len(skipped), nil
}

func (w *walker) list(tok json.Token, fd protoreflect.FieldDescriptor, path string, depth int) error {
	if tok != json.Delim('[') {
		return &FieldError{Path: path, Reason: "wants a list, not " + describe(tok)}
	}
	for i := 0; w.dec.More(); i++ {
		if w.left--; w.left < 0 {
			return tooMany(path)
		}
		if err := w.element(fd, path+"["+strconv.Itoa(i)+"]", depth); err != nil {
			return err
		}
	}
	_, err := w.token(path)
	return err
}

func (w *walker) mapping(tok json.Token, fd protoreflect.FieldDescriptor, path string, depth int) error {
	if tok != json.Delim('{') {
		return &FieldError{Path: path, Reason: "wants a JSON object, not " + describe(tok)}
	}
	seen := map[string]struct{}{}
	for w.dec.More() {
		tok, err := w.token(path)
		if err != nil {
			return err
		}
		key, _ := tok.(string)
		at := path + "[" + Quote(key) + "]"
		if _, twice := seen[key]; twice {
			return &FieldError{Path: at, Reason: "given twice"}
		}
		seen[key] = struct{}{}
		if w.left--; w.left < 0 {
			return tooMany(path)
		}
		if err := w.element(fd.MapValue(), at, depth); err != nil {
			return err
		}
	}
	_, err := w.token(path)
	return err
}

// element walks an entry of a list or map, where null stands for nothing.
func (w *walker) element(fd protoreflect.FieldDescriptor, path string, depth int) error {
	if isWellKnown(fd.Message()) {
		return w.wellKnown(fd.Message(), path)
	}
	tok, start, err := w.value(path)
	switch {
	case err != nil:
		return err
	case fd.Message() != nil:
		return w.message(tok, fd.Message(), path, depth+1)
	default:
		return w.scalar(tok, start, fd, path)
	}
}

// scalar checks a single value, and notes an edit for a severity.
func (w *walker) scalar(tok json.Token, start int, fd protoreflect.FieldDescriptor, path string) error {
	wants := ""
	switch fd.Kind() {
	case protoreflect.BoolKind:
		if _, ok := tok.(bool); !ok {
			wants = "true or false"
		}
	case protoreflect.StringKind, protoreflect.BytesKind:
		if _, ok := tok.(string); !ok {
			wants = "a string"
		}
	case protoreflect.EnumKind:
		return w.enum(tok, start, fd.Enum(), path)
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		if text, ok := numeral(tok); !ok || !isFloat(text) {
			wants = "a number"
		}
	default:
		low, high := bounds(fd.Kind())
		if text, ok := numeral(tok); !ok || !isWhole(text, low, high) {
			wants = fmt.Sprintf("a whole number from %.0f to %.0f", low, high)
		}
	}
	if wants != "" {
		return &FieldError{Path: path, Reason: fmt.Sprintf("wants %s, not %s", wants, describe(tok))}
	}
	return nil
}

func (w *walker) enum(tok json.Token, start int, ed protoreflect.EnumDescriptor, path string) error {
	switch v := tok.(type) {
	case json.Number:
		if isWhole(v.String(), math.MinInt32, math.MaxInt32) {
			return nil // any number is a value of an open enum; validation judges it
		}
	case string:
		if ed.FullName() == severityName {
			if text, ok := w.severity(v); ok {
				if text != v {
					w.edits = append(w.edits, edit{start: start, end: int(w.dec.InputOffset()), text: text})
				}
				return nil
			}
		}
		if ed.Values().ByName(protoreflect.Name(v)) != nil {
			return nil
		}
	}
	return &FieldError{Path: path, Reason: fmt.Sprintf("wants one of %s, not %s", strings.Join(enumNames(ed), ", "), describe(tok))}
}

// wellKnown takes the value of a type with a JSON form of its own as a whole
// and lets protojson judge it.
func (w *walker) wellKnown(md protoreflect.MessageDescriptor, path string) error {
	var raw json.RawMessage
	if err := w.dec.Decode(&raw); err != nil {
		return &FieldError{Path: path, Reason: "not JSON: " + err.Error()}
	}
	mt, err := protoregistry.GlobalTypes.FindMessageByName(md.FullName())
	if err != nil || string(raw) == "null" {
		return nil //nolint:nilerr // a type that is not linked in is left to protojson
	}
	if err := (protojson.UnmarshalOptions{RecursionLimit: maxDepth}).Unmarshal(raw, mt.New().Interface()); err != nil {
		return &FieldError{Path: path, Reason: "wants " + wellKnownForm(md) + ", not " + Quote(string(raw))}
	}
	return nil
}

func field(md protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if fd := md.Fields().ByJSONName(name); fd != nil {
		return fd
	}
	return md.Fields().ByTextName(name)
}

func unknownField(md protoreflect.MessageDescriptor, path, name string) error {
	known := make([]string, md.Fields().Len())
	for i := range known {
		known[i] = md.Fields().Get(i).JSONName()
	}
	reason := "unknown field"
	if near, ok := suggest.Nearest(name, known); ok {
		reason += "; did you mean " + strconv.Quote(near) + "?"
	} else if len(known) > 0 {
		reason += "; known here: " + strings.Join(known, ", ")
	}
	return &FieldError{Path: path, Reason: reason, Unknown: true}
}
