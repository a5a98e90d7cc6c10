package watchertest

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"syscall"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// watch serves one watch until the client or the server ends it.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, initial bool) {
	path, partial := r.URL.Path, partialOf(r)
	from, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	s.mu.Lock()
	s.requests = append(s.requests, "watch "+path)
	generation := s.generation
	if !initial && from < s.oldest {
		s.mu.Unlock()
		writeStatus(w, status(http.StatusGone, metav1.StatusReasonExpired, "too old resource version"))
		return
	}
	var frames []frame
	if initial {
		objs := s.objects[path]
		for _, key := range slices.Sorted(maps.Keys(objs)) {
			frames = append(frames, frame{"ADDED", shape(objs[key], partial)})
		}
		from = s.rv
		frames = append(frames, frame{"BOOKMARK", bookmark(path, s.rv, partial, true)})
	}
	s.mu.Unlock()

	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flush(w)
	at := 0 // index in the log of what comes next
	s.mu.Lock()
	for at < len(s.log) && s.log[at].rv <= from {
		at++
	}
	first := s.logStart()
	s.mu.Unlock()
	for {
		for _, f := range frames {
			if json.NewEncoder(w).Encode(f) != nil || f.Type == "ERROR" {
				flush(w)
				return
			}
		}
		flush(w)
		frames = frames[:0]
		s.mu.Lock()
		if s.generation != generation || s.logStart() != first {
			s.mu.Unlock()
			return
		}
		for ; at < len(s.log); at++ {
			if f, ok := s.frameOf(s.log[at], path, partial); ok {
				frames = append(frames, f)
			}
		}
		changed := s.changed
		s.mu.Unlock()
		if len(frames) > 0 {
			continue
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		}
	}
}

// logStart changes when Compact empties the log; under the lock.
func (s *Server) logStart() int { return s.oldest }

func (s *Server) frameOf(e entry, path string, partial bool) (frame, bool) {
	switch {
	case e.kind == "BOOKMARK":
		return frame{e.kind, bookmark(path, e.rv, partial, false)}, true
	case e.path != path:
		return frame{}, false
	case e.kind == "ERROR":
		return frame{e.kind, e.object}, true
	}
	return frame{e.kind, shape(e.object, partial)}, true
}

// frame is one message of a watch.
type frame struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

// bookmark is an empty object of the watch's kind at a position.
func bookmark(path string, rv int, partial, initialEnd bool) json.RawMessage {
	kind, version := kinds[path][0], kinds[path][1]
	if partial {
		kind, version = "PartialObjectMetadata", "meta.k8s.io/v1"
	}
	meta := map[string]any{"resourceVersion": strconv.Itoa(rv), "creationTimestamp": nil}
	if initialEnd {
		meta["annotations"] = map[string]string{metav1.InitialEventsAnnotationKey: "true"}
	}
	raw, _ := json.Marshal(map[string]any{"kind": kind, "apiVersion": version, "metadata": meta})
	return raw
}

var kinds = map[string][2]string{
	Pods: {"Pod", "v1"}, Nodes: {"Node", "v1"}, Events: {"Event", "v1"},
	Deployments: {"Deployment", "apps/v1"}, ReplicaSets: {"ReplicaSet", "apps/v1"},
	StatefulSets: {"StatefulSet", "apps/v1"}, DaemonSets: {"DaemonSet", "apps/v1"},
	Jobs: {"Job", "batch/v1"}, CronJobs: {"CronJob", "batch/v1"},
	LimitRanges: {"LimitRange", "v1"}, Quotas: {"ResourceQuota", "v1"}, VPAs: {"VerticalPodAutoscaler", "autoscaling.k8s.io/v1"},
	Autoscalers: {"HorizontalPodAutoscaler", "autoscaling/v2"}, Budgets: {"PodDisruptionBudget", "policy/v1"},
}

func flush(w http.ResponseWriter) {
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
}

// RoundTrip implements http.RoundTripper: the handler runs in a goroutine of its
// own, and the answer comes through a pipe.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	down, dropping := s.down, s.dropping
	s.mu.Unlock()
	switch {
	case down:
		return nil, syscall.ECONNREFUSED
	case dropping:
		return nil, io.ErrUnexpectedEOF
	}
	ctx, cancel := context.WithCancel(r.Context())
	reader, writer := io.Pipe()
	rec := &pipeWriter{header: make(http.Header), body: writer, ready: make(chan struct{})}
	go func() {
		s.ServeHTTP(rec, r.WithContext(ctx))
		rec.WriteHeader(http.StatusOK)
		_ = writer.Close()
	}()
	stop := context.AfterFunc(ctx, func() { _ = writer.CloseWithError(ctx.Err()) })
	select {
	case <-rec.ready:
	case <-r.Context().Done():
		cancel()
		return nil, r.Context().Err()
	}
	return &http.Response{
		StatusCode: rec.code, Status: http.StatusText(rec.code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: rec.header, Request: r,
		Body: &pipeBody{PipeReader: reader, close: func() { stop(); cancel() }},
	}, nil
}

// CloseIdleConnections is what clients call at their end; a pipe is never idle.
func (s *Server) CloseIdleConnections() {}

type pipeWriter struct {
	header http.Header
	body   *io.PipeWriter
	once   sync.Once
	code   int
	ready  chan struct{}
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(code int) {
	w.once.Do(func() {
		w.code = code
		close(w.ready)
	})
}

func (w *pipeWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// Flush implements http.Flusher; a pipe holds nothing back.
func (w *pipeWriter) Flush() {}

type pipeBody struct {
	*io.PipeReader
	close func()
}

func (b *pipeBody) Close() error {
	b.close()
	return b.PipeReader.Close()
}
