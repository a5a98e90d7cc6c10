package kubetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// ErrCut is what a client gets that was cut off.
var ErrCut = errors.New("cut off")

// Client is one client of the server, and its connection.
type Client struct {
	api    *API
	number int

	mu     sync.Mutex
	left   int // requests until it is cut; negative is never
	after  bool
	cut    bool
	failed func()
	asked  int
}

// Client makes a client of its own.
func (a *API) Client() *Client {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.clients++
	return &Client{api: a, number: a.clients, left: -1}
}

// Config is how it is reached.
func (c *Client) Config() *rest.Config {
	return &rest.Config{Host: "http://kubetest", Transport: c}
}

// CutAt cuts the client off for good at the n-th write from now, beginning with 1:
// before the server sees it, or after it was done, so that nobody hears the answer.
// failed, where it is not nil, is called then.
func (c *Client) CutAt(n int, after bool, failed func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left, c.after, c.failed = n, after, failed
}

// Asked is how many requests it has made, reads and dry runs among them.
func (c *Client) Asked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// RoundTrip implements http.RoundTripper.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	before, after := c.gate(req)
	if before {
		return nil, ErrCut
	}
	resp := c.api.serve(req, c.number)
	if after {
		return nil, ErrCut
	}
	return resp, nil
}

// gate says whether the client is cut off before or after a request.
func (c *Client) gate(req *http.Request) (before, after bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if c.cut {
		return true, false
	}
	writes := req.Method != http.MethodGet && req.URL.Query().Get("dryRun") == ""
	if c.left < 0 || !writes {
		return false, false
	}
	if c.left--; c.left > 0 {
		return false, false
	}
	c.cut = true
	if c.failed != nil {
		c.failed()
	}
	return !c.after, c.after
}

func (a *API) serve(req *http.Request, by int) *http.Response {
	path := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	if req.URL.Query().Get("watch") == "true" || req.URL.Query().Get("watch") == "1" {
		return a.watch(req)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	answer, err := a.route(req, path, by)
	var status apierrors.APIStatus
	switch {
	case errors.As(err, &status):
		s := status.Status()
		s.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
		return reply(int(s.Code), s)
	case err != nil:
		return reply(http.StatusInternalServerError, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Message: err.Error(), Code: 500, Status: metav1.StatusFailure})
	}
	return reply(http.StatusOK, answer)
}

func reply(code int, object any) *http.Response {
	raw, err := json.Marshal(object)
	if err != nil {
		panic(err) // an object of the API encodes
	}
	return &http.Response{
		StatusCode: code, Status: http.StatusText(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(raw)), ContentLength: int64(len(raw)),
	}
}

// route finds who answers: .../namespaces/NS/RESOURCE[/NAME[/SUBRESOURCE]], or
// what is not in a namespace.
func (a *API) route(req *http.Request, path []string, by int) (any, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	q := req.URL.Query()
	w := Write{Manager: q.Get("fieldManager"), By: by}
	dry := q.Get("dryRun") != ""
	for i, part := range path {
		if part == "namespaces" && i+2 < len(path) {
			w.Namespace, w.Resource = path[i+1], path[i+2]
			if i+3 < len(path) {
				w.Name = path[i+3]
			}
			if i+4 < len(path) {
				w.Resource += "/" + path[i+4]
			}
		}
	}
	switch {
	case a.throttled && req.Method != http.MethodGet && !strings.HasPrefix(w.Resource, "remediations"):
		return nil, apierrors.NewTooManyRequests("too many requests", 1)
	case req.URL.Path == "/version":
		return map[string]string{"major": "1", "minor": "37"}, nil
	case w.Resource == "" && path[len(path)-1] == resourceRemediations:
		return a.listRemediations(), nil
	case w.Resource == "" && path[len(path)-2] == "nodes":
		return a.node(path[len(path)-1])
	case w.Resource == "" && path[len(path)-1] == "nodes":
		return a.listNodes(req.URL.Query()), nil
	case w.Resource == deployments, w.Resource == statefulSets, w.Resource == daemonSets, w.Resource == cronJobs, w.Resource == jobs:
		return a.workload(req.Method, w, body, dry)
	case w.Resource == replicaSets:
		return a.replicaSet(w)
	case w.Resource == "pods/eviction":
		return a.evict(w, body, dry)
	case w.Resource == resourceScale:
		return a.scale(w, body, dry)
	case w.Resource == resourceAutoscalers:
		return a.autoscaler(req.Method, w, body, dry)
	case w.Resource == "pods" && w.Name == "":
		return a.listPods(w.Namespace, q.Get("labelSelector"))
	case w.Resource == "pods":
		return found(a.pods, w, podType, func(p *corev1.Pod, m metav1.TypeMeta) { p.TypeMeta = m })
	case w.Resource == "pods/resize":
		return a.resize(w, body, dry)
	case strings.HasPrefix(w.Resource, resourceRemediations):
		return a.remediation(req.Method, w, body, dry)
	case w.Resource == "limitranges" && w.Name == "":
		return corev1.LimitRangeList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "LimitRangeList"}, Items: a.limitRanges}, nil
	case w.Resource == "resourcequotas" && w.Name == "":
		return corev1.ResourceQuotaList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ResourceQuotaList"}, Items: a.quotas}, nil
	case w.Name == "":
		version := path[1]
		if path[0] == "apis" {
			version += "/" + path[2]
		}
		return map[string]any{"apiVersion": version, "kind": listKinds[w.Resource], "items": []any{}}, nil
	}
	return nil, notFound(w.Resource, w.Name)
}

// listKinds are the lists that are empty here.
var listKinds = map[string]string{
	"poddisruptionbudgets": "PodDisruptionBudgetList", "horizontalpodautoscalers": "HorizontalPodAutoscalerList",
}

var (
	podType         = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	remediationType = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindRemediation}
)

func found[T any](in map[key]*T, w Write, typed metav1.TypeMeta, set func(*T, metav1.TypeMeta)) (any, error) {
	object := in[key{w.Namespace, w.Name}]
	if object == nil {
		return nil, notFound(w.Resource, w.Name)
	}
	copied := *object
	set(&copied, typed)
	return &copied, nil
}

// node reads a node; a.mu is held.
func (a *API) node(name string) (any, error) {
	for i := range a.nodes {
		if a.nodes[i].Name == name {
			node := a.nodes[i]
			node.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}
			return &node, nil
		}
	}
	return nil, notFound("nodes", name)
}

// listNodes lists nodes, page by page; a.mu is held.
func (a *API) listNodes(query url.Values) corev1.NodeList {
	out := corev1.NodeList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "NodeList"}}
	from, _ := strconv.Atoi(query.Get("continue")) // its own, or none
	limit, err := strconv.Atoi(query.Get("limit"))
	if to := from + limit; err == nil && to < len(a.nodes) {
		out.Items, out.Continue = a.nodes[from:to], strconv.Itoa(to)
	} else {
		out.Items = a.nodes[from:]
	}
	return out
}

func (a *API) listPods(namespace, selector string) (any, error) {
	chosen, err := labels.Parse(selector)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	out := corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
	for k, pod := range a.pods {
		if k.namespace == namespace && chosen.Matches(labels.Set(pod.Labels)) {
			out.Items = append(out.Items, *pod.DeepCopy())
		}
	}
	return &out, nil
}

// resize patches a pod's resources: UID and resource version in the patch are
// preconditions.
func (a *API) resize(w Write, patch []byte, dry bool) (any, error) {
	w.Verb = "patch"
	if !dry {
		a.announce(w)
	}
	k := key{w.Namespace, w.Name}
	pod := a.pods[k]
	if pod == nil {
		return nil, notFound("pods", w.Name)
	}
	if err := held(w, patch, pod); err != nil {
		return nil, err
	}
	next := pod.DeepCopy()
	if err := merge(next, patch); err != nil {
		return nil, err
	}
	next.TypeMeta = podType
	if dry {
		return next, nil
	}
	at := now()
	next.Generation++
	next.ManagedFields = append(next.ManagedFields, metav1.ManagedFieldsEntry{
		Manager: w.Manager, Operation: metav1.ManagedFieldsOperationUpdate, Subresource: "resize", Time: &at,
	})
	if why := a.short[next.Spec.NodeName]; why != "" {
		next.Status.ObservedGeneration = next.Generation
		next.Status.Conditions = append(next.Status.Conditions, corev1.PodCondition{
			Type: corev1.PodResizePending, Status: corev1.ConditionTrue, Reason: why, ObservedGeneration: next.Generation,
			Message: "Node didn't have enough resource: memory",
		})
	} else if a.settle {
		next.Status.ObservedGeneration = next.Generation
		for i := range next.Status.ContainerStatuses {
			next.Status.ContainerStatuses[i].Resources = next.Spec.Containers[i].Resources.DeepCopy()
		}
		for i := range next.Status.InitContainerStatuses {
			next.Status.InitContainerStatuses[i].Resources = next.Spec.InitContainers[i].Resources.DeepCopy()
		}
	}
	next.ResourceVersion = a.next()
	a.pods[k] = next
	a.accept(w)
	return next, nil
}

func (a *API) listRemediations() any {
	out := v1alpha1.RemediationList{TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "RemediationList"}}
	out.ResourceVersion = strconv.Itoa(a.version)
	for _, r := range a.remediations {
		one := *r.DeepCopy()
		one.TypeMeta = remediationType
		out.Items = append(out.Items, one)
	}
	return &out
}

func (a *API) remediation(method string, w Write, body []byte, dry bool) (any, error) {
	k := key{w.Namespace, w.Name}
	there := a.remediations[k]
	in := &v1alpha1.Remediation{}
	if method == http.MethodPost || method == http.MethodPut {
		if err := json.Unmarshal(body, in); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		k.name, w.Name = in.Name, in.Name
	}
	switch method {
	case http.MethodPost:
		w.Verb = "create"
		if a.remediations[k] != nil {
			return nil, apierrors.NewAlreadyExists(schema.GroupResource{Resource: w.Resource}, w.Name)
		}
		in.Status = v1alpha1.RemediationStatus{} // a subresource
		in.UID, in.Generation, in.CreationTimestamp = types.UID("uid-"+in.Name), 1, now()
		if dry {
			return in, nil
		}
		a.announce(w)
		a.store(in, "ADDED")
	case http.MethodPut:
		w.Verb = "update"
		a.announce(w)
		there = a.remediations[k]
		switch {
		case there == nil:
			return nil, notFound(w.Resource, w.Name)
		case in.ResourceVersion != there.ResourceVersion || in.UID != there.UID:
			return nil, conflict(w.Resource, w.Name, "the object has been modified")
		}
		next := there.DeepCopy()
		next.Status = in.Status
		a.store(next, "MODIFIED")
		in = next
	case http.MethodDelete:
		w.Verb = "delete"
		if there == nil {
			return nil, notFound(w.Resource, w.Name)
		}
		in = there.DeepCopy()
		a.store(in, "DELETED")
	default:
		if there == nil {
			return nil, notFound(w.Resource, w.Name)
		}
		in = there
	}
	if method != http.MethodGet {
		a.accept(w)
	}
	out := *in.DeepCopy()
	out.TypeMeta = remediationType
	return &out, nil
}

// watch follows the Remediations until the request's context ends or its reader
// closes.
func (a *API) watch(req *http.Request) *http.Response {
	since, err := strconv.Atoi(req.URL.Query().Get("resourceVersion"))
	if err != nil {
		since = 0
	}
	reader, writer := io.Pipe()
	go func() {
		defer writer.Close() //nolint:errcheck // a pipe's close does not fail
		for {
			a.mu.Lock()
			changed := a.changed
			var batch []change
			for _, c := range a.changes {
				if c.version > since && !a.lags {
					batch = append(batch, c)
				}
			}
			a.mu.Unlock()
			for _, c := range batch {
				since = c.version
				object := *c.object
				object.TypeMeta = remediationType
				raw, err := json.Marshal(map[string]any{"type": c.kind, "object": &object})
				if err != nil {
					return
				}
				if _, err := writer.Write(append(raw, '\n')); err != nil {
					return
				}
			}
			select {
			case <-req.Context().Done():
				return
			case <-changed:
			}
		}
	}()
	return &http.Response{
		StatusCode: http.StatusOK, Status: "OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: reader, ContentLength: -1,
	}
}
