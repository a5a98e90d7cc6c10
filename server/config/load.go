package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/rightsizer/rightsizer/server/suggest"
)

// maxFile bounds the file; the reference with all settings has about 2 KiB.
const maxFile = 1 << 20

// SettingError is one mistake in the configuration.
type SettingError struct {
	// Key is the setting.
	Key string
	// Place is where the value stands: flag --x, environment X, file:line, or
	// default.
	Place string
	// Value is the bad value, empty where it is not about one.
	Value string
	// Want is what would be right.
	Want string
}

// Error implements error.
func (p SettingError) Error() string {
	var out strings.Builder
	out.WriteString(p.Key)
	if p.Place != "" {
		out.WriteString(" (" + p.Place + ")")
	}
	if p.Value != "" {
		fmt.Fprintf(&out, " is %s;", quote(p.Value))
	}
	return out.String() + " " + p.Want
}

// Problems are the mistakes that an error of Load joins, in their order.
func Problems(err error) []SettingError {
	if one, ok := errors.AsType[SettingError](err); ok {
		var joined interface{ Unwrap() []error }
		if !errors.As(err, &joined) {
			return []SettingError{one}
		}
		var all []SettingError
		for _, part := range joined.Unwrap() {
			all = append(all, Problems(part)...)
		}
		return all
	}
	return nil
}

// Source says where the value of each setting comes from: a key's place, or
// nothing for a default.
type Source map[string]string

// Place is where a setting's value comes from, for people.
func (s Source) Place(key string) string {
	if place, ok := s[key]; ok {
		return place
	}
	return "default"
}

// Input is where settings come from.
type Input struct {
	// Flags are the flags given, by key.
	Flags map[string]string
	// Environ is the environment as os.Environ has it.
	Environ []string
	// Contents are those of the file, where somebody has read it already; nil has
	// Load read it.
	Contents []byte
	// MemoryLimit is what this process may take, in bytes; 0 where no limit is
	// known. See [MemoryLimit].
	MemoryLimit int64
}

// Result is what Load found.
type Result struct {
	Config Config
	// File is the path of the file; empty where none was named.
	File string
	// Source has the place of each value that is not the default.
	Source Source
	// Warnings are about settings that look mistyped but may be meant for
	// somebody else: Kubernetes itself sets RIGHTSIZER_* variables for a
	// Service of that name.
	Warnings []string
}

// Load puts the configuration together. Its error joins a [SettingError] for each
// mistake. The result is complete only without an error.
func Load(in Input) (Result, error) {
	l := loader{
		settings: Settings(), env: environment(in.Environ),
		result: Result{Config: Default(), Source: Source{}},
	}
	file, place := in.Flags[ConfigKey], "flag --"+ConfigKey
	if file == "" {
		file, place = l.env["RIGHTSIZER_CONFIG"], "environment RIGHTSIZER_CONFIG"
	}
	if file != "" {
		l.result.File = file
		l.file(file, place, in.Contents)
	}
	for i := range l.settings {
		l.fromEnvironment(&l.settings[i])
	}
	for i := range l.settings {
		s := &l.settings[i]
		if value, ok := in.Flags[s.Key]; ok {
			l.set(s, value, "flag --"+s.Key)
		}
	}
	l.derive(in.MemoryLimit)
	l.warn()
	if len(l.problems) == 0 { // what goes together is only worth judging when each part is good
		for _, c := range l.result.Config.check() {
			l.problems = append(l.problems, l.conflict(c))
		}
	}
	return l.result, errors.Join(l.problems...)
}

type loader struct {
	settings []Setting
	env      map[string]string
	result   Result
	problems []error
}

// derive fills in the defaults that depend on the memory limit.
func (l *loader) derive(limit int64) {
	if _, given := l.result.Source[maxStreamsKey]; given || limit <= 0 {
		return
	}
	l.result.Config.MaxStreams = StreamsWithin(limit)
	l.result.Source[maxStreamsKey] = "derived from the memory limit, " + formatSize(limit)
}

// conflict words what does not go together, with the value and the place of each
// setting that it is about.
func (l *loader) conflict(c conflict) SettingError {
	want := []string{c.want}
	for _, key := range c.with {
		want = append(want, fmt.Sprintf("%s (%s) is %s", key, l.result.Source.Place(key), quote(l.value(key))))
	}
	return SettingError{Key: c.key, Place: l.result.Source.Place(c.key), Value: l.value(c.key), Want: strings.Join(want, "; ")}
}

func (l *loader) value(key string) string {
	for i := range l.settings {
		if s := &l.settings[i]; s.Key == key && s.get != nil {
			return s.get(&l.result.Config)
		}
	}
	return ""
}

func environment(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok && value != "" {
			env[name] = value
		}
	}
	return env
}

func (l *loader) set(s *Setting, value, place string) {
	l.result.Source[s.Key] = place
	if s.set == nil {
		return
	}
	if err := s.set(&l.result.Config, value); err != nil {
		shown := value
		if shown == "" {
			shown = " "
		}
		l.problems = append(l.problems, SettingError{Key: s.Key, Place: place, Value: shown, Want: err.Error()})
	}
}

func (l *loader) fromEnvironment(s *Setting) {
	for _, name := range []string{s.Env(), s.AlsoEnv} {
		if value, ok := l.env[name]; ok && s.FileOnly() {
			l.problems = append(l.problems, SettingError{Key: s.Key, Place: "environment " + name, Want: "is a list, which goes into the file"})
		} else if ok {
			l.set(s, value, "environment "+name)
			return
		}
	}
}

// file reads the settings of a file. place says who named the file; data is what it
// holds, nil where that was not read yet.
func (l *loader) file(path, place string, data []byte) {
	bad := func(line int, key, value, want string) {
		at := path
		if line > 0 {
			at = fmt.Sprintf("%s:%d", path, line)
		}
		l.problems = append(l.problems, SettingError{Key: key, Place: at, Value: value, Want: want})
	}
	var err error
	switch {
	case data == nil:
		data, err = readFile(path)
	case len(data) > maxFile:
		err = errTooLarge
	}
	if err != nil {
		l.problems = append(l.problems, SettingError{Key: ConfigKey, Place: place, Value: path, Want: "cannot be read: " + err.Error()})
		return
	}
	var document yaml.Node
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	if err := decoder.Decode(&document); err != nil {
		if !errors.Is(err, io.EOF) { // an empty file sets nothing
			bad(0, ConfigKey, "", "is not YAML: "+strings.TrimPrefix(err.Error(), "yaml: "))
		}
		return
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		bad(0, ConfigKey, "", "wants one YAML document")
		return
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return // comments alone
	}
	if root.Kind != yaml.MappingNode {
		bad(root.Line, ConfigKey, "", "wants `key: value` lines")
		return
	}
	l.keys(path, root, bad)
}

func (l *loader) keys(path string, root *yaml.Node, bad func(line int, key, value, want string)) {
	known := map[string]*Setting{}
	var names []string
	for i := range l.settings {
		if s := &l.settings[i]; s.set != nil || s.FileOnly() {
			known[s.Key] = s
			names = append(names, s.Key)
		}
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		s, ok := known[key.Value]
		switch {
		case !ok:
			want := "is not a setting"
			if near, ok := suggest.Nearest(key.Value, names); ok {
				want += "; did you mean " + near + "?"
			}
			bad(key.Line, quoteKey(key.Value), "", want)
		case seen[key.Value] > 0:
			bad(key.Line, key.Value, "", fmt.Sprintf("is set twice, first in line %d", seen[key.Value]))
		case s.FileOnly():
			l.result.Source[s.Key] = fmt.Sprintf("%s:%d", path, value.Line)
			s.list(&l.result.Config, value, listReader{bad: bad, found: func(line int, key string) {
				l.result.Source[key] = fmt.Sprintf("%s:%d", path, line)
			}})
		case value.Kind != yaml.ScalarNode:
			bad(value.Line, key.Value, "", "wants a single value, "+s.Bounds)
		case value.Tag == "!!null":
			bad(value.Line, key.Value, "", "has no value; leave the line out, or give one: "+s.Bounds)
		default:
			l.set(s, value.Value, fmt.Sprintf("%s:%d", path, value.Line))
		}
		seen[key.Value] = key.Line
	}
}

var errTooLarge = fmt.Errorf("larger than %d bytes", maxFile)

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unwrapPath(err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, unwrapPath(err)
	}
	if len(data) > maxFile {
		return nil, errTooLarge
	}
	return data, nil
}

// unwrapPath drops the path, which the message has already.
func unwrapPath(err error) error {
	if at, ok := errors.AsType[*os.PathError](err); ok {
		return at.Err
	}
	return err
}

// warn looks for variables that were probably meant for a setting.
func (l *loader) warn() {
	var known []string
	isKnown := map[string]bool{}
	for i := range l.settings {
		isKnown[l.settings[i].Env()] = true
		if !l.settings[i].FileOnly() {
			known = append(known, l.settings[i].Env())
		}
	}
	for name := range l.env {
		if !strings.HasPrefix(name, "RIGHTSIZER_") || isKnown[name] {
			continue
		}
		if near, ok := suggest.Nearest(name, known); ok {
			l.result.Warnings = append(l.result.Warnings, fmt.Sprintf("environment %s is not a setting; did you mean %s?", quoteKey(name), near))
		}
	}
	slices.Sort(l.result.Warnings)
}
