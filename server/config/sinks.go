package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/rightsizer/rightsizer/server/suggest"
)

// SinksKey is the key of the list of sinks, which is in the file alone.
const SinksKey = "sinks"

// MaxSinks bounds the list.
const MaxSinks = 16

// Sink is one address that events are sent to.
type Sink struct {
	// Name tells sinks apart in health, metrics and logs. Required, unique.
	Name string `json:"name"`
	// URL is where to post. Required; https unless InsecurePlaintext.
	URL string `json:"url"`
	// Mode is structured or binary, the forms of a CloudEvent over HTTP.
	Mode string `json:"mode"`
	// Filter is an EventFilter in JSON; empty selects every event.
	Filter json.RawMessage `json:"filter,omitempty"`
	// SecretFile holds the secrets that sign the requests, read at start.
	SecretFile string `json:"secret-file,omitempty"`
	// CAFile holds the certificates that vouch for the endpoint.
	CAFile string `json:"ca-file,omitempty"`
	// InsecurePlaintext allows http.
	InsecurePlaintext bool `json:"insecure-plaintext,omitempty"`
	// Timeout bounds one attempt.
	Timeout time.Duration `json:"-"`
	// GiveUpAfter is how long one event is tried.
	GiveUpAfter time.Duration `json:"-"`
	// Queue is how many events wait at most.
	Queue int `json:"queue"`
}

// MarshalJSON writes durations as the file has them.
func (s Sink) MarshalJSON() ([]byte, error) {
	type plain Sink
	return json.Marshal(struct { //nolint:wrapcheck // nothing to add
		plain

		Timeout     string `json:"timeout"`
		GiveUpAfter string `json:"give-up-after"`
	}{plain(s), short(s.Timeout), short(s.GiveUpAfter)})
}

// SinkKey names a field of a sink, for errors and places: sinks[0].url.
func SinkKey(i int, field string) string {
	if field == "" {
		return fmt.Sprintf("%s[%d]", SinksKey, i)
	}
	return fmt.Sprintf("%s[%d].%s", SinksKey, i, field)
}

func newSink() Sink {
	return Sink{Mode: "structured", Timeout: 10 * time.Second, GiveUpAfter: 15 * time.Minute, Queue: 1024}
}

var sinkName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,46}[a-z0-9])?$`)

// sinkField is a field of a sink with a single value.
type sinkField struct {
	key, bounds, help string
	set               func(*Sink, string) error
}

// wants is a setter that takes what good accepts.
func wants(bounds string, good func(*Sink, string) bool) func(*Sink, string) error {
	return func(s *Sink, v string) error {
		if !good(s, v) {
			return errors.New("wants " + bounds)
		}
		return nil
	}
}

func sinkFields() []sinkField {
	field := func(key, bounds, help string, good func(*Sink, string) bool) sinkField {
		return sinkField{key, bounds, help, wants(bounds, good)}
	}
	return []sinkField{
		field("name", "lower-case letters, digits and dashes, at most 48", "Tells sinks apart in health, metrics and logs.",
			func(s *Sink, v string) bool { s.Name = v; return sinkName.MatchString(v) }),
		field("url", "a URL such as https://events.example.com/in, at most 2048 bytes", "Where to post; redirects are not followed. Addresses are judged as outbound-networks says.",
			func(s *Sink, v string) bool {
				u, err := url.Parse(v)
				s.URL = v
				return err == nil && len(v) <= 2048 && u.Hostname() != "" && (u.Scheme == "https" || u.Scheme == "http") && u.User == nil && u.Fragment == ""
			}),
		field("mode", "structured or binary", "Form of the CloudEvent: all in the body, or attributes in headers.",
			func(s *Sink, v string) bool { s.Mode = v; return v == "structured" || v == "binary" }),
		field("secret-file", "a file", "Secrets that sign the requests as Standard Webhooks has it, whsec_… each, separated by white space; unset signs nothing. Read at start.",
			func(s *Sink, v string) bool { s.SecretFile = v; return plainText(v) }),
		field("ca-file", "a file", "Certificates in PEM that vouch for the endpoint; unset are the system's.",
			func(s *Sink, v string) bool { s.CAFile = v; return plainText(v) }),
		field("insecure-plaintext", "true or false", "Allow http.",
			func(s *Sink, v string) (ok bool) {
				parsed, err := strconv.ParseBool(v)
				s.InsecurePlaintext = parsed
				return err == nil
			}),
		field("timeout", "a duration, 100ms to 1m", "How long one attempt may take.",
			func(s *Sink, v string) bool { return within(&s.Timeout, v, 100*time.Millisecond, time.Minute) }),
		field("give-up-after", "a duration, 1s to 24h", "How long an event is tried before it is counted as failed.",
			func(s *Sink, v string) bool { return within(&s.GiveUpAfter, v, time.Second, 24*time.Hour) }),
		field("queue", "a whole number, 16 to 65536", "Events that wait at most; beyond that the event ring holds them, and then they are counted as dropped.",
			func(s *Sink, v string) bool {
				parsed, err := strconv.Atoi(v)
				s.Queue = parsed
				return err == nil && parsed >= 16 && parsed <= 65536
			}),
	}
}

func plainText(v string) bool {
	return v != "" && len(v) <= 4096 && !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func within(field *time.Duration, v string, low, high time.Duration) bool {
	parsed, err := time.ParseDuration(v)
	*field = parsed
	return err == nil && parsed >= low && parsed <= high
}

// sinksSetting is the list of sinks: of the file alone, since neither a flag nor a
// variable is a place for a list of structures.
func sinksSetting() Setting {
	return Setting{
		Key: SinksKey, Kind: "list", Bounds: fmt.Sprintf("in the file alone, at most %d", MaxSinks),
		Help:   "Addresses that events are sent to as CloudEvents: see Sinks below.",
		schema: `{"type": "array"}`,
		list:   readSinks,
		get: func(c *Config) string {
			if len(c.Sinks) == 0 {
				return "[]"
			}
			text, err := json.Marshal(c.Sinks)
			if err != nil {
				return "[]" // a filter that was read is JSON
			}
			return string(text)
		},
	}
}

// listReader is what reading a list needs: where to say what is wrong, and where
// each value stands.
type listReader struct {
	bad   func(line int, key, value, want string)
	found func(line int, key string)
}

// readSinks reads the list node into the configuration.
func readSinks(c *Config, node *yaml.Node, r listReader) {
	if node.Kind != yaml.SequenceNode {
		r.bad(node.Line, SinksKey, "", "wants a list, each entry beginning with `- name: …`")
		return
	}
	if len(node.Content) > MaxSinks {
		r.bad(node.Line, SinksKey, "", fmt.Sprintf("has %d entries, at most %d are allowed", len(node.Content), MaxSinks))
		return
	}
	names := map[string]int{}
	for i, entry := range node.Content {
		sink, ok := readSink(i, entry, r)
		if !ok {
			continue
		}
		if first, twice := names[sink.Name]; twice {
			r.bad(entry.Line, SinkKey(i, "name"), sink.Name, fmt.Sprintf("wants a name of its own; %s has it, too", SinkKey(first, "")))
		}
		names[sink.Name] = i
		c.Sinks = append(c.Sinks, sink)
	}
}

// readSink reads one entry; false where something was wrong.
func readSink(i int, entry *yaml.Node, r listReader) (Sink, bool) {
	sink, ok := newSink(), true
	bad := func(line int, field, value, want string) {
		ok = false
		r.bad(line, SinkKey(i, field), value, want)
	}
	if entry.Kind != yaml.MappingNode {
		bad(entry.Line, "", "", "wants `name: …`, `url: …` and what else goes with it")
		return sink, false
	}
	fields, names := sinkFields(), []string{"filter"}
	for _, f := range fields {
		names = append(names, f.key)
	}
	seen := map[string]bool{}
	for k := 0; k+1 < len(entry.Content); k += 2 {
		key, value := entry.Content[k], entry.Content[k+1]
		at := slices.IndexFunc(fields, func(f sinkField) bool { return f.key == key.Value })
		switch {
		case seen[key.Value]:
			bad(key.Line, quoteKey(key.Value), "", "is set twice")
		case key.Value == "filter":
			text, err := toJSON(value)
			if err != nil {
				bad(value.Line, "filter", "", err.Error())
			}
			sink.Filter = text
		case at < 0:
			want := "is not a field of a sink"
			if near, found := suggest.Nearest(key.Value, names); found {
				want += "; did you mean " + near + "?"
			}
			bad(key.Line, quoteKey(key.Value), "", want)
		case value.Kind != yaml.ScalarNode || value.Tag == "!!null":
			bad(value.Line, key.Value, "", "wants "+fields[at].bounds)
		default:
			if err := fields[at].set(&sink, value.Value); err != nil {
				bad(value.Line, key.Value, value.Value+" ", err.Error())
			}
		}
		seen[key.Value] = true
		r.found(key.Line, SinkKey(i, key.Value))
	}
	for _, must := range []string{"name", "url"} {
		if !seen[must] {
			bad(entry.Line, must, "", "is missing; every sink wants one")
		}
	}
	if ok && strings.HasPrefix(sink.URL, "http:") && !sink.InsecurePlaintext {
		bad(entry.Line, "url", sink.URL, "wants https, or insecure-plaintext: true beside it")
	}
	return sink, ok
}

// maxFilter bounds a filter; the largest legal one has about 170 KiB.
const maxFilter = 256 << 10

// toJSON is a YAML value as JSON. What the fields mean is judged by whoever knows
// the filter.
func toJSON(node *yaml.Node) (json.RawMessage, error) {
	if node.Kind != yaml.MappingNode {
		return nil, errors.New("wants the fields of a filter, such as eventTypes: [pod.oom_killed]")
	}
	var value any
	if err := node.Decode(&value); err != nil {
		return nil, errors.New("is no filter: " + strings.TrimPrefix(err.Error(), "yaml: "))
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, errors.New("wants names for keys, such as eventTypes")
	}
	if len(text) > maxFilter {
		return nil, fmt.Errorf("has %d bytes, at most %d are allowed", len(text), maxFilter)
	}
	return text, nil
}

// SinkReference is the table of README.md in Markdown.
func SinkReference() string {
	defaults := newSink()
	shown := map[string]string{
		"mode": defaults.Mode, "insecure-plaintext": "false", "timeout": short(defaults.Timeout),
		"give-up-after": short(defaults.GiveUpAfter), "queue": strconv.Itoa(defaults.Queue),
	}
	var out strings.Builder
	out.WriteString("| field | default | values | meaning |\n|---|---|---|---|\n")
	for _, f := range sinkFields() {
		value := "–"
		if d := shown[f.key]; d != "" {
			value = "`" + d + "`"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", f.key, value, f.bounds, f.help)
	}
	out.WriteString("| `filter` | – | fields of EventFilter | Which events: `eventTypes`, `namespaces`, `severities`, `minSeverity`, `tags`, `workloads`, `nodes`; unset is every event. Who reads (`dashboard.*`) is sent only where `eventTypes` names it. |\n")
	return out.String()
}
