package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"
)

const metricsRoot = "/apis/metrics.k8s.io/v1beta1"

// measurements stand in for metrics-server, which asks kubelets, and there are
// none: an API of its group behind the API server that has a figure for each
// container of the population, another at each question.
type measurements struct {
	server  *httptest.Server
	encoder runtime.Encoder
	nodes   int

	mu    sync.Mutex
	pods  map[string][]string // by namespace
	asked int64
}

// startMeasurements puts them in the place of metrics-server.
func startMeasurements(ctx context.Context, c *controlPlane, nodes int) (*measurements, error) {
	scheme := runtime.NewScheme()
	if err := metricsv1beta1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("know the metrics API: %w", err)
	}
	m := &measurements{nodes: nodes, pods: map[string][]string{}, encoder: protobuf.NewSerializer(scheme, scheme)}
	m.server = httptest.NewTLSServer(m)
	if err := m.register(ctx, c); err != nil {
		m.server.Close()
		return nil, err
	}
	return m, nil
}

// register has the API server ask here. The devcluster's Service of metrics-server
// is a name for localhost, so that the port is all that changes.
func (m *measurements) register(ctx context.Context, c *controlPlane) error {
	client, err := dynamic.NewForConfig(c.RESTConfig())
	if err != nil {
		return fmt.Errorf("make a client of the cluster: %w", err)
	}
	address, ok := m.server.Listener.Addr().(*net.TCPAddr)
	if !ok {
		return fmt.Errorf("listening on %s, which has no port", m.server.Listener.Addr())
	}
	services := schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{
		"caBundle": nil, "insecureSkipTLSVerify": true, "service": map[string]any{"port": address.Port},
	}})
	if err != nil {
		return fmt.Errorf("encode the patch of the APIService: %w", err)
	}
	if _, err := client.Resource(services).Patch(ctx, "v1beta1.metrics.k8s.io", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("register the measurements: %w", err)
	}
	return nil
}

func (m *measurements) add(pod *corev1.Pod) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pods[pod.Namespace] = append(m.pods[pod.Namespace], pod.Name)
}

// ServeHTTP implements http.Handler.
func (m *measurements) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, metricsRoot)
	namespace, _ := strings.CutSuffix(strings.TrimPrefix(path, "/namespaces/"), "/pods")
	switch {
	case !ok:
		http.NotFound(w, r)
	case path == "": // The API server asks so whether we are there.
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"metrics.k8s.io/v1beta1","resources":[]}`)
	case path == "/nodes":
		m.answer(w, m.ofNodes())
	default:
		m.answer(w, m.ofPods(namespace))
	}
}

func (m *measurements) answer(w http.ResponseWriter, list runtime.Object) {
	w.Header().Set("Content-Type", runtime.ContentTypeProtobuf)
	_ = m.encoder.Encode(list, w) // Who hangs up asks again.
}

// use is a figure that differs between containers and moments: 5 to 45 m, 20 to 83 MiB.
func use(i, asked int64) corev1.ResourceList {
	n := i*31 + asked*7
	return corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewMilliQuantity(5+n%41, resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity((20+n%64)<<20, resource.BinarySI),
	}
}

func (m *measurements) ofPods(namespace string) *metricsv1beta1.PodMetricsList {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	list := &metricsv1beta1.PodMetricsList{TypeMeta: typeOf("PodMetricsList")}
	for i, name := range m.pods[namespace] {
		list.Items = append(list.Items, metricsv1beta1.PodMetrics{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Timestamp: metav1.Now(),
			Window: metav1.Duration{Duration: 15 * time.Second},
			Containers: []metricsv1beta1.ContainerMetrics{
				{Name: "app", Usage: use(int64(i), m.asked)}, {Name: "proxy", Usage: use(int64(i)+1, m.asked)},
			},
		})
	}
	return list
}

func (m *measurements) ofNodes() *metricsv1beta1.NodeMetricsList {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := &metricsv1beta1.NodeMetricsList{TypeMeta: typeOf("NodeMetricsList")}
	for i := range m.nodes {
		list.Items = append(list.Items, metricsv1beta1.NodeMetrics{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%d", i+1)}, Timestamp: metav1.Now(),
			Window: metav1.Duration{Duration: 15 * time.Second}, Usage: use(int64(i), m.asked),
		})
	}
	return list
}

func typeOf(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{Kind: kind, APIVersion: metricsv1beta1.SchemeGroupVersion.String()}
}
