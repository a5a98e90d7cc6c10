package source

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"github.com/rightsizer/rightsizer/watcher/meter"
)

const (
	metricsRoot = "/apis/metrics.k8s.io/v1beta1"
	// metricsBytes bounds one answer: a pod of two containers is about 300 bytes.
	metricsBytes = 16 << 20
	// metricsTimeout bounds one request.
	metricsTimeout = 20 * time.Second
)

// MetricsAPI reads the metrics API (metrics.k8s.io), which metrics-server or an
// adapter serves. It has no pages, so that it is asked namespace by namespace.
// Rights: list on pods and nodes of metrics.k8s.io.
type MetricsAPI struct {
	rest    *rest.RESTClient
	http    *http.Client
	decoder runtime.Decoder
}

// NewMetricsAPI makes the client; it contacts nobody.
func NewMetricsAPI(config *rest.Config) (*MetricsAPI, error) {
	scheme := runtime.NewScheme()
	if err := metricsv1beta1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("metrics API: scheme: %w", err)
	}
	codecs := serializer.NewCodecFactory(scheme)
	own := rest.CopyConfig(config)
	own.Timeout = 0
	own.QPS = -1 // The Poller spreads the requests.
	own.GroupVersion = &schema.GroupVersion{}
	own.APIPath = "/unused" // Every request names its path.
	own.NegotiatedSerializer = codecs.WithoutConversion()
	own.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	own.WarningHandlerWithContext = rest.NoWarnings{}
	client, err := rest.HTTPClientFor(own)
	if err != nil {
		return nil, fmt.Errorf("metrics API: %w", err)
	}
	restClient, err := rest.RESTClientForConfigAndClient(own, client)
	if err != nil {
		return nil, fmt.Errorf("metrics API: %w", err)
	}
	return &MetricsAPI{rest: restClient, http: client, decoder: codecs.UniversalDeserializer()}, nil
}

// Name implements Source.
func (*MetricsAPI) Name() string { return "metrics-api" }

// Scope implements Source.
func (*MetricsAPI) Scope() Scope { return PerNamespace }

// Rank implements Source.
func (*MetricsAPI) Rank() uint8 { return 0 }

// Read implements Source.
func (m *MetricsAPI) Read(ctx context.Context, t *Target, take func(*meter.Sample)) error {
	path := metricsRoot + "/nodes"
	if t.Namespace != "" {
		path = metricsRoot + "/namespaces/" + t.Namespace + "/pods"
	}
	ctx, cancel := context.WithTimeout(ctx, metricsTimeout)
	defer cancel()
	body, err := m.rest.Get().AbsPath(path).MaxRetries(0).Stream(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	raw, err := io.ReadAll(newBounded(body, metricsBytes))
	if err != nil {
		return err
	}
	return readMetrics(m.decoder, raw, take)
}

// readMetrics decodes a list of pods or nodes, in protobuf or JSON.
func readMetrics(decoder runtime.Decoder, raw []byte, take func(*meter.Sample)) error {
	obj, _, err := decoder.Decode(raw, nil, nil)
	if err != nil {
		return fmt.Errorf("not a list of the metrics API: %w", err)
	}
	var s meter.Sample
	switch list := obj.(type) {
	case *metricsv1beta1.PodMetricsList:
		for i := range list.Items {
			pod := &list.Items[i]
			for j := range pod.Containers {
				c := &pod.Containers[j]
				s = meter.Sample{
					Namespace: pod.Namespace, Pod: pod.Name, Container: c.Name,
					Time: pod.Timestamp.Time, Window: pod.Window.Duration,
				}
				if s.Pod != "" && s.Container != "" && fillUsage(&s, c.Usage) {
					take(&s)
				}
			}
		}
	case *metricsv1beta1.NodeMetricsList:
		for i := range list.Items {
			node := &list.Items[i]
			s = meter.Sample{Node: node.Name, Time: node.Timestamp.Time, Window: node.Window.Duration}
			if s.Node != "" && fillUsage(&s, node.Usage) {
				take(&s)
			}
		}
	default:
		return fmt.Errorf("not a list of the metrics API: %T", obj)
	}
	return nil
}

// fillUsage reads amounts; false where there are none.
func fillUsage(s *meter.Sample, usage corev1.ResourceList) bool {
	if q, ok := usage[corev1.ResourceCPU]; ok {
		s.CPUMillis, s.Has = q.AsApproximateFloat64()*1000, s.Has|meter.CPU
	}
	if q, ok := usage[corev1.ResourceMemory]; ok {
		s.MemoryBytes, s.Has = q.AsApproximateFloat64(), s.Has|meter.Memory
	}
	return s.Has != 0 && !s.Time.IsZero()
}
