package outbound

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// Event is a CloudEvent 1.0 with JSON for data.
type Event struct {
	// ID is unique at its source, and the idempotency key. Required.
	ID string
	// Source is where it comes from, a URI reference. Required.
	Source string
	// Type is what happened, such as dev.rightsizer.pod.oom_killed. Required.
	Type string
	// Subject is what it happened to; may be empty.
	Subject string
	// Time is when it happened; may be zero.
	Time time.Time
	// Data is JSON; may be empty.
	Data json.RawMessage
}

// Mode is how an event is put into a request.
type Mode int

// The modes of the HTTP binding.
const (
	// Structured puts everything into the body.
	Structured Mode = iota
	// Binary puts the attributes into headers and the data alone into the body.
	Binary
)

const specVersion = "1.0"

// encode returns the body and sets the headers that go with it.
func (e Event) encode(mode Mode, header http.Header) ([]byte, error) {
	if e.ID == "" || e.Source == "" || e.Type == "" {
		return nil, fmt.Errorf("cloud event %q: ID, Source and Type must be set", e.ID)
	}
	if mode == Binary {
		e.headers(header)
		return e.Data, nil
	}
	header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	envelope := struct {
		SpecVersion     string          `json:"specversion"`
		ID              string          `json:"id"`
		Source          string          `json:"source"`
		Type            string          `json:"type"`
		Subject         string          `json:"subject,omitempty"`
		Time            string          `json:"time,omitempty"`
		DataContentType string          `json:"datacontenttype,omitempty"`
		Data            json.RawMessage `json:"data,omitempty"`
	}{SpecVersion: specVersion, ID: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject, Time: e.time(), Data: e.Data}
	if len(e.Data) > 0 {
		envelope.DataContentType = "application/json"
	}
	body, err := json.Marshal(envelope)
	if err != nil {
		return nil, fmt.Errorf("cloud event %q: %w", e.ID, err)
	}
	return body, nil
}

func (e Event) time() string {
	if e.Time.IsZero() {
		return ""
	}
	return e.Time.UTC().Format(time.RFC3339Nano)
}

func (e Event) headers(header http.Header) {
	header.Set("Ce-Specversion", specVersion)
	for name, value := range map[string]string{
		"Ce-Id": e.ID, "Ce-Source": e.Source, "Ce-Type": e.Type, "Ce-Subject": e.Subject, "Ce-Time": e.time(),
	} {
		if value != "" {
			header.Set(name, percent(value))
		}
	}
	if len(e.Data) > 0 {
		header.Set("Content-Type", "application/json")
	}
}

// percent encodes what a header must not carry, as the HTTP binding says: all but
// printable ASCII, and space, double quote and percent.
func percent(value string) string {
	var out strings.Builder
	for _, r := range value {
		if r > ' ' && r <= '~' && r != '"' && r != '%' {
			out.WriteRune(r)
			continue
		}
		var raw [utf8.UTFMax]byte
		for _, b := range raw[:utf8.EncodeRune(raw[:], r)] {
			fmt.Fprintf(&out, "%%%02X", b)
		}
	}
	return out.String()
}
