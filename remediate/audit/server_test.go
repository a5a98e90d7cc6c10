package audit_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

const path = "/api/v1/namespaces/rightsizer/configmaps"

// apiServer serves ConfigMaps of one namespace as a real one does: versions,
// conflicts, immutability, preconditions. That it does is shown by the same tests
// against a real one, in deploy/e2e.
type apiServer struct {
	*httptest.Server

	mu       sync.Mutex
	version  int
	segments map[string]*corev1.ConfigMap
	requests int
	// before sees each request first, unlocked; it may answer it by itself.
	before func(w http.ResponseWriter, r *http.Request) (answered bool)
	// after sees each request that was served; true drops the answer.
	after func(r *http.Request) (lost bool)
}

func newAPIServer(t *testing.T) *apiServer {
	t.Helper()
	s := &apiServer{segments: map[string]*corev1.ConfigMap{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *apiServer) config() *rest.Config { return &rest.Config{Host: s.URL} }

// edit changes what is stored, as somebody with rights would.
func (s *apiServer) edit(change func(segments map[string]*corev1.ConfigMap)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.segments)
	for _, segment := range s.segments {
		s.version++
		segment.ResourceVersion = strconv.Itoa(s.version)
	}
}

// names are those of the segments, sorted.
func (s *apiServer) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.segments))
}

// count is how many requests were served.
func (s *apiServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

func (s *apiServer) serve(w http.ResponseWriter, r *http.Request) {
	if s.before != nil && s.before(w, r) {
		return
	}
	rec := httptest.NewRecorder()
	s.mu.Lock()
	s.requests++
	s.answer(rec, r)
	s.mu.Unlock()
	if s.after != nil && s.after(r) {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), rec.Header())
	w.WriteHeader(rec.Code)
	_, _ = io.Copy(w, rec.Body)
}

func (s *apiServer) answer(w http.ResponseWriter, r *http.Request) {
	name, one := strings.CutPrefix(r.URL.Path, path+"/")
	segment := s.segments[name]
	if one && segment == nil {
		status(w, http.StatusNotFound, metav1.StatusReasonNotFound)
		return
	}
	body, _ := io.ReadAll(r.Body)
	switch r.Method {
	case http.MethodGet:
		if one {
			reply(w, http.StatusOK, segment)
			return
		}
		list := &metav1.PartialObjectMetadataList{}
		for _, n := range slices.Sorted(maps.Keys(s.segments)) {
			list.Items = append(list.Items, metav1.PartialObjectMetadata{ObjectMeta: s.segments[n].ObjectMeta})
		}
		reply(w, http.StatusOK, list)
	case http.MethodPost:
		s.create(w, body)
	case http.MethodPatch:
		s.patch(w, segment, body)
	case http.MethodDelete:
		var opts metav1.DeleteOptions
		_ = json.Unmarshal(body, &opts)
		if p := opts.Preconditions; p != nil && (*p.UID != segment.UID || *p.ResourceVersion != segment.ResourceVersion) {
			status(w, http.StatusConflict, metav1.StatusReasonConflict)
			return
		}
		delete(s.segments, name)
		reply(w, http.StatusOK, &metav1.Status{Status: metav1.StatusSuccess})
	}
}

func (s *apiServer) create(w http.ResponseWriter, body []byte) {
	made := &corev1.ConfigMap{}
	_ = json.Unmarshal(body, made)
	if s.segments[made.Name] != nil {
		status(w, http.StatusConflict, metav1.StatusReasonAlreadyExists)
		return
	}
	s.version++
	made.ResourceVersion, made.UID = strconv.Itoa(s.version), types.UID("uid-"+strconv.Itoa(s.version))
	s.segments[made.Name] = made
	reply(w, http.StatusCreated, &metav1.PartialObjectMetadata{ObjectMeta: made.ObjectMeta})
}

func (s *apiServer) patch(w http.ResponseWriter, segment *corev1.ConfigMap, body []byte) {
	patch := &corev1.ConfigMap{}
	_ = json.Unmarshal(body, patch)
	switch {
	case patch.ResourceVersion != segment.ResourceVersion:
		status(w, http.StatusConflict, metav1.StatusReasonConflict)
	case segment.Immutable != nil && *segment.Immutable:
		status(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid)
	default:
		s.version++
		segment.ResourceVersion = strconv.Itoa(s.version)
		maps.Copy(segment.Data, patch.Data)
		if patch.Immutable != nil {
			segment.Immutable = patch.Immutable
		}
		reply(w, http.StatusOK, &metav1.PartialObjectMetadata{ObjectMeta: segment.ObjectMeta})
	}
}

func status(w http.ResponseWriter, code int, reason metav1.StatusReason) {
	reply(w, code, &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: string(reason),
	})
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}
