package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/watcher"
)

// maxStatus bounds how much of a refusal is read, in bytes.
const maxStatus = 1 << 20

// tap sits in the watcher's connection and notes what passes, before the
// watcher sees it. It asks for JSON and for whole objects, and gives the
// watcher the metadata alone where that is what it asked for.
type tap struct {
	next  http.RoundTripper
	paths map[string]watcher.Resource
	out   *writer
	// ctx is the recording's: what breaks at its end is no failure.
	ctx context.Context //nolint:containedctx // an http.RoundTripper is given none of its own
}

// failed notes a failure that is not the recorder's own end.
func (t *tap) failed(r watcher.Resource, status *metav1.Status) {
	if t.ctx.Err() == nil {
		t.out.failed(r.Name, status)
	}
}

// RoundTrip implements http.RoundTripper.
func (t *tap) RoundTrip(req *http.Request) (*http.Response, error) {
	r, ok := t.paths[req.URL.Path]
	if !ok {
		return t.passed(t.next.RoundTrip(req))
	}
	own := req.Clone(req.Context())
	own.Header.Set("Accept", "application/json")
	resp, err := t.next.RoundTrip(own)
	if err != nil {
		t.failed(r, statusOf(err))
		return nil, err //nolint:wrapcheck // passed through
	}
	if resp.StatusCode != http.StatusOK {
		return t.refused(r, resp)
	}
	query := req.URL.Query()
	if query.Get("watch") == "" {
		return t.listed(r, query, resp)
	}
	t.out.opened(r.Name, query.Get("sendInitialEvents") == "true")
	dec := json.NewDecoder(resp.Body)
	resp.Body = &frames{tap: t, resource: r, dec: dec, body: resp.Body}
	resp.ContentLength = -1
	resp.Header.Del("Content-Length")
	return resp, nil
}

// passed is an answer that is no part of a recording; why there was none may be why
// nothing is recorded.
func (t *tap) passed(resp *http.Response, err error) (*http.Response, error) {
	switch {
	case t.ctx.Err() != nil:
	case err != nil:
		t.out.heard(err.Error())
	case resp.StatusCode >= http.StatusBadRequest:
		t.out.heard(resp.Status)
	}
	return resp, err
}

// CloseIdleConnections passes on what clients call at their end.
func (t *tap) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// refused notes a Status.
func (t *tap) refused(r watcher.Resource, resp *http.Response) (*http.Response, error) {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxStatus))
	_ = resp.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Path, err)
	}
	status := &metav1.Status{}
	if json.Unmarshal(raw, status) != nil || status.Kind != "Status" {
		status = &metav1.Status{Status: metav1.StatusFailure, Message: resp.Status}
	}
	status.Code = int32(resp.StatusCode)
	t.failed(r, status)
	return withBody(resp, raw), nil
}

// page is a list, or part of one.
type page struct {
	Kind       string            `json:"kind"`
	APIVersion string            `json:"apiVersion"`
	Metadata   metav1.ListMeta   `json:"metadata"`
	Items      []json.RawMessage `json:"items"`
}

// listed notes a page of a list.
func (t *tap) listed(r watcher.Resource, query url.Values, resp *http.Response) (*http.Response, error) {
	raw, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Path, err)
	}
	var p page
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, fmt.Errorf("%s: no list in JSON: %w", r.Path, err)
	}
	if query.Get("continue") == "" {
		t.out.begin(r.Name)
	}
	for i, item := range p.Items {
		if err := t.out.object(r.Name, Added, item); err != nil {
			return nil, err
		}
		if r.Metadata {
			if p.Items[i], err = metadataOf(item); err != nil {
				return nil, err
			}
		}
	}
	if p.Metadata.Continue == "" {
		t.out.complete(r.Name)
	}
	if !r.Metadata {
		return withBody(resp, raw), nil
	}
	p.Kind, p.APIVersion = "PartialObjectMetadataList", metav1.SchemeGroupVersion.String()
	if raw, err = json.Marshal(p); err != nil {
		return nil, fmt.Errorf("%s: %w", r.Path, err)
	}
	return withBody(resp, raw), nil
}

func withBody(resp *http.Response, raw []byte) *http.Response {
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	resp.ContentLength = int64(len(raw))
	resp.Header.Del("Content-Length")
	return resp
}

// frames is the body of a watch: it reads a message, notes it and passes it on.
type frames struct {
	tap      *tap
	resource watcher.Resource
	dec      *json.Decoder
	body     io.ReadCloser
	rest     []byte // of the message that is being passed on
}

// frame is one message of a watch.
type frame struct {
	Type   Type            `json:"type"`
	Object json.RawMessage `json:"object"`
}

// Read implements io.Reader.
func (f *frames) Read(b []byte) (int, error) {
	if len(f.rest) == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// Close implements io.Closer.
func (f *frames) Close() error {
	return f.body.Close() //nolint:wrapcheck // passed through
}

func (f *frames) next() error {
	var m frame
	if err := f.dec.Decode(&m); err != nil {
		if !errors.Is(err, io.EOF) {
			f.tap.failed(f.resource, statusOf(err))
		}
		return err //nolint:wrapcheck // passed through
	}
	if err := f.note(m); err != nil {
		return err
	}
	var err error
	if f.resource.Metadata && m.Type != Error {
		if m.Object, err = metadataOf(m.Object); err != nil {
			return err
		}
	}
	if f.rest, err = json.Marshal(m); err != nil {
		return fmt.Errorf("message of a watch: %w", err)
	}
	f.rest = append(f.rest, '\n')
	return nil
}

func (f *frames) note(m frame) error {
	name := f.resource.Name
	if m.Type == Error {
		status := &metav1.Status{}
		if err := json.Unmarshal(m.Object, status); err != nil {
			return fmt.Errorf("status of a watch: %w", err)
		}
		f.tap.failed(f.resource, status)
		return nil
	}
	if m.Type != Bookmark {
		return f.tap.out.object(name, m.Type, m.Object)
	}
	var mark metav1.PartialObjectMetadata
	if err := json.Unmarshal(m.Object, &mark); err != nil {
		return fmt.Errorf("bookmark: %w", err)
	}
	f.tap.out.bookmark(name)
	if mark.Annotations[metav1.InitialEventsAnnotationKey] == "true" {
		f.tap.out.complete(name)
	}
	return nil
}

// metadataOf makes of a whole object what the server sends where metadata alone
// is asked for.
func metadataOf(raw []byte) (json.RawMessage, error) {
	var whole struct {
		Metadata json.RawMessage `json:"metadata"`
	}
	if err := json.Unmarshal(raw, &whole); err != nil {
		return nil, fmt.Errorf("object: %w", err)
	}
	out, err := json.Marshal(map[string]any{
		"kind": "PartialObjectMetadata", "apiVersion": metav1.SchemeGroupVersion.String(), "metadata": whole.Metadata,
	})
	if err != nil {
		return nil, fmt.Errorf("object: %w", err)
	}
	return out, nil
}

// statusOf words an error that is no answer of the server; its code is 0.
func statusOf(err error) *metav1.Status {
	return &metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Message: strings.ToValidUTF8(err.Error(), "\uFFFD"),
	}
}
