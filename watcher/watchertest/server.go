package watchertest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
)

// ClusterUID is the UID of the server's namespace kube-system.
const ClusterUID = "4f1c2d3e-0000-4000-8000-00000000c0de"

// Version is the server's gitVersion.
const Version = "v1.37.2"

// Server is the API server.
type Server struct {
	mu sync.Mutex
	// changed is closed and replaced whenever anything happens.
	changed chan struct{}
	rv      int
	objects map[string]map[string]json.RawMessage // by path, then namespace/name
	log     []entry
	// oldest is the last position that is forgotten; 0 remembers all.
	oldest int
	// generation ends all watches of earlier ones.
	generation int
	// refusal answers everything while it is set; down answers nothing.
	refusal *metav1.Status
	// busy answers lists and watches with 429 and this Retry-After.
	busy      string
	down      bool
	dropping  bool
	forbidden map[string]bool
	// stale is how many requests for a further page of a path are answered with
	// 410 Gone.
	stale    map[string]int
	plain    bool
	requests []string
	answers  map[string]func() any
	// configMaps are what was written, by namespace/name.
	configMaps map[string]*corev1.ConfigMap
}

// entry is one change.
type entry struct {
	rv     int
	path   string
	kind   string // ADDED, MODIFIED, DELETED, BOOKMARK, ERROR
	object json.RawMessage
}

// New returns a running, empty server.
func New() *Server {
	s := &Server{
		changed:   make(chan struct{}),
		rv:        1,
		objects:   make(map[string]map[string]json.RawMessage),
		forbidden: make(map[string]bool),
		stale:     make(map[string]int),
	}
	s.Put(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem, UID: ClusterUID}})
	return s
}

// Config reaches the server without a network.
func (s *Server) Config() *rest.Config {
	return &rest.Config{Host: "http://api.test", Transport: s}
}

// Put adds or changes objects.
func (s *Server) Put(objs ...metav1.Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, obj := range objs {
		path, key, raw := s.encode(obj)
		kind := "MODIFIED"
		if s.objects[path] == nil {
			s.objects[path] = make(map[string]json.RawMessage)
		}
		if _, known := s.objects[path][key]; !known {
			kind = "ADDED"
		}
		s.objects[path][key] = raw
		s.append(path, kind, raw)
	}
}

// Delete removes an object; its form is the last that watchers see.
func (s *Server) Delete(obj metav1.Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, key, raw := s.encode(obj)
	delete(s.objects[path], key)
	s.append(path, "DELETED", raw)
}

// Bookmark sends a bookmark to all watches.
func (s *Server) Bookmark() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rv++
	s.append("*", "BOOKMARK", nil)
}

// Drop closes all watches in order.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
	s.wake()
}

// Compact forgets all positions before the present one, so that no watch can be
// continued from them.
func (s *Server) Compact() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rv++
	s.oldest = s.rv
	s.log = nil
	s.wake()
}

// Expire ends all watches of a path with 410 Gone inside the stream.
func (s *Server) Expire(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	raw, _ := json.Marshal(status(http.StatusGone, metav1.StatusReasonExpired, "too old resource version"))
	s.append(path, "ERROR", raw)
}

// ExpirePages answers so many of the next requests for a second or later page of a
// list with 410 Gone.
func (s *Server) ExpirePages(path string, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stale[path] = times
}

// Refuse answers every request with a Status of that code and message, and ends
// all watches; an empty message takes it back.
func (s *Server) Refuse(code int32, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = nil
	if message != "" {
		s.refusal = status(code, metav1.StatusReasonServiceUnavailable, message)
		s.generation++
	}
	s.wake()
}

// Throttle answers every list and watch with 429 and a Retry-After, in seconds or
// as a date, and ends all watches; an empty one takes it back.
func (s *Server) Throttle(retryAfter string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = retryAfter
	if retryAfter != "" {
		s.generation++
	}
	s.wake()
}

// SetDown makes the server vanish, or come back. Only for use as RoundTripper.
func (s *Server) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
	if down {
		s.generation++
	}
	s.wake()
}

// SetDropping makes the server take connections and close them without an
// answer, or stop that. Only for use as RoundTripper.
func (s *Server) SetDropping(dropping bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropping = dropping
	if dropping {
		s.generation++
	}
	s.wake()
}

// Forbid refuses a path with 403.
func (s *Server) Forbid(path string, forbid bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forbidden[path] = forbid
}

// WithoutWatchList makes it a server that knows no streaming lists.
func (s *Server) WithoutWatchList() *Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plain = true
	return s
}

// Answer has a GET of a path answered with what f returns, a string as it is, else
// in JSON; nil takes it back. It is for APIs that are not watched, and for kubelets,
// whose paths are nobody else's.
func (s *Server) Answer(path string, f func() any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answers == nil {
		s.answers = make(map[string]func() any)
	}
	s.answers[path] = f
}

// Requests returns the requests so far as "list PATH" and "watch PATH".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func (s *Server) append(path, kind string, raw json.RawMessage) {
	s.log = append(s.log, entry{rv: s.rv, path: path, kind: kind, object: raw})
	s.wake()
}

func (s *Server) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// encode gives the object the next resource version.
func (s *Server) encode(obj metav1.Object) (path, key string, raw json.RawMessage) {
	s.rv++
	obj.SetResourceVersion(strconv.Itoa(s.rv))
	path, kind, version := kindOf(obj)
	raw, err := json.Marshal(obj)
	if err != nil {
		panic(err) // A test's own object.
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		panic(err)
	}
	fields["kind"], fields["apiVersion"] = kind, version
	raw, _ = json.Marshal(fields)
	return path, obj.GetNamespace() + "/" + obj.GetName(), raw
}

// Paths of the resources.
const (
	Pods         = "/api/v1/pods"
	Nodes        = "/api/v1/nodes"
	Events       = "/api/v1/events"
	Deployments  = "/apis/apps/v1/deployments"
	ReplicaSets  = "/apis/apps/v1/replicasets"
	StatefulSets = "/apis/apps/v1/statefulsets"
	DaemonSets   = "/apis/apps/v1/daemonsets"
	Jobs         = "/apis/batch/v1/jobs"
	CronJobs     = "/apis/batch/v1/cronjobs"
	Autoscalers  = "/apis/autoscaling/v2/horizontalpodautoscalers"
	Budgets      = "/apis/policy/v1/poddisruptionbudgets"
	LimitRanges  = "/api/v1/limitranges"
	Quotas       = "/api/v1/resourcequotas"
	VPAs         = "/apis/autoscaling.k8s.io/v1/verticalpodautoscalers"
	namespaces   = "/api/v1/namespaces"
	metricsAPI   = "/apis/metrics.k8s.io/"
)

func kindOf(obj metav1.Object) (path, kind, version string) {
	switch obj.(type) {
	case *corev1.Pod:
		return Pods, "Pod", "v1"
	case *corev1.Node:
		return Nodes, "Node", "v1"
	case *corev1.Event:
		return Events, "Event", "v1"
	case *corev1.Namespace:
		return namespaces, "Namespace", "v1"
	case *appsv1.Deployment:
		return Deployments, "Deployment", "apps/v1"
	case *appsv1.ReplicaSet:
		return ReplicaSets, "ReplicaSet", "apps/v1"
	case *appsv1.StatefulSet:
		return StatefulSets, "StatefulSet", "apps/v1"
	case *appsv1.DaemonSet:
		return DaemonSets, "DaemonSet", "apps/v1"
	case *batchv1.Job:
		return Jobs, "Job", "batch/v1"
	case *autoscalingv2.HorizontalPodAutoscaler:
		return Autoscalers, "HorizontalPodAutoscaler", "autoscaling/v2"
	case *policyv1.PodDisruptionBudget:
		return Budgets, "PodDisruptionBudget", "policy/v1"
	case *corev1.LimitRange:
		return LimitRanges, "LimitRange", "v1"
	case *corev1.ResourceQuota:
		return Quotas, "ResourceQuota", "v1"
	case *unstructured.Unstructured: // The one kind without a Go type here.
		return VPAs, "VerticalPodAutoscaler", "autoscaling.k8s.io/v1"
	case *batchv1.CronJob:
		return CronJobs, "CronJob", "batch/v1"
	}
	panic(fmt.Sprintf("watchertest: no path for %T", obj))
}

func status(code int32, reason metav1.StatusReason, message string) *metav1.Status {
	return &metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Code: code, Reason: reason, Message: message,
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	refusal, forbidden, plain, busy, answer := s.refusal, s.forbidden[r.URL.Path], s.plain, s.busy, s.answers[r.URL.Path]
	_, served := s.objects[r.URL.Path]
	if busy != "" {
		s.requests = append(s.requests, "throttled "+r.URL.Path)
	}
	s.mu.Unlock()
	query := r.URL.Query()
	initial := query.Get("sendInitialEvents") == "true"
	switch {
	case refusal != nil:
		writeStatus(w, refusal)
	case busy != "":
		w.Header().Set("Retry-After", busy)
		writeStatus(w, status(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "too many requests, please try again later"))
	case r.URL.Path == "/version":
		writeJSON(w, http.StatusOK, map[string]string{"gitVersion": Version})
	case forbidden:
		writeStatus(w, status(http.StatusForbidden, metav1.StatusReasonForbidden, "forbidden: "+r.URL.Path))
	case r.URL.Path == VPAs && !served: // A CRD is not there before its first object.
		writeStatus(w, status(http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource"))
	case answer != nil:
		writeAnswer(w, answer())
	case strings.HasPrefix(r.URL.Path, metricsAPI):
		writeStatus(w, status(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "the server is currently unable to handle the request"))
	case strings.HasPrefix(r.URL.Path, namespaces+"/") && s.configMap(w, r):
	case strings.HasPrefix(r.URL.Path, namespaces+"/"):
		s.get(w, namespaces, "/"+strings.TrimPrefix(r.URL.Path, namespaces+"/"))
	case plain && initial:
		writeStatus(w, status(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "sendInitialEvents is forbidden"))
	case query.Get("watch") != "":
		s.watch(w, r, initial)
	default:
		s.list(w, r)
	}
}

func writeAnswer(w http.ResponseWriter, what any) {
	if text, ok := what.(string); ok {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, text) // who hangs up asks again
		return
	}
	writeJSON(w, http.StatusOK, what)
}

func (s *Server) get(w http.ResponseWriter, path, key string) {
	s.mu.Lock()
	raw := s.objects[path][key]
	s.mu.Unlock()
	if raw == nil {
		writeStatus(w, status(http.StatusNotFound, metav1.StatusReasonNotFound, "not found"))
		return
	}
	writeJSON(w, http.StatusOK, raw)
}

// list serves pages; a continue token is the number of items before it.
func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	partial := partialOf(r)
	s.mu.Lock()
	s.requests = append(s.requests, "list "+r.URL.Path)
	objs := s.objects[r.URL.Path]
	keys := slices.Sorted(maps.Keys(objs))
	if kind, ok := strings.CutPrefix(r.URL.Query().Get("fieldSelector"), "type="); ok {
		keys = slices.DeleteFunc(keys, func(key string) bool { return typeOf(objs[key]) != kind })
	}
	rv := s.rv
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	if from > 0 && s.stale[r.URL.Path] > 0 {
		s.stale[r.URL.Path]--
		s.mu.Unlock()
		writeStatus(w, status(http.StatusGone, metav1.StatusReasonExpired,
			"The provided continue parameter is too old to display a consistent list result."))
		return
	}
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	to := len(keys)
	meta := map[string]any{"resourceVersion": strconv.Itoa(rv)}
	if limit > 0 && from+limit < to {
		to = from + limit
		meta["continue"] = strconv.Itoa(to)
	}
	items := make([]json.RawMessage, 0, to-from)
	for _, key := range keys[from:to] {
		items = append(items, shape(objs[key], partial))
	}
	s.mu.Unlock()
	kind, version := listKinds[r.URL.Path], "v1"
	if strings.HasPrefix(r.URL.Path, "/apis/") {
		version = strings.Join(strings.Split(r.URL.Path, "/")[2:4], "/")
	}
	if partial {
		kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
	}
	writeJSON(w, http.StatusOK, map[string]any{"kind": kind, "apiVersion": version, "metadata": meta, "items": items})
}

// typeOf is the type of an Event.
func typeOf(raw json.RawMessage) string {
	var e struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(raw, &e) // Written by encode.
	return e.Type
}

var listKinds = map[string]string{
	Pods: "PodList", Nodes: "NodeList", Events: "EventList", Deployments: "DeploymentList",
	StatefulSets: "StatefulSetList", DaemonSets: "DaemonSetList", Jobs: "JobList",
	LimitRanges: "LimitRangeList", Quotas: "ResourceQuotaList", VPAs: "VerticalPodAutoscalerList",
	Autoscalers: "HorizontalPodAutoscalerList", Budgets: "PodDisruptionBudgetList",
}

func partialOf(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata")
}

// shape is the object, or its metadata alone.
func shape(raw json.RawMessage, partial bool) json.RawMessage {
	if !partial {
		return raw
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		panic(err)
	}
	out, _ := json.Marshal(map[string]any{
		"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": fields["metadata"],
	})
	return out
}

func writeStatus(w http.ResponseWriter, s *metav1.Status) {
	if s.Code == http.StatusServiceUnavailable {
		// What client-go's own retries would wait for.
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, int(s.Code), s)
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}
