package watcher

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

// metadataOnly asks the server for names, owners and times instead of whole
// objects; whole ones are understood, too.
const metadataOnly = "application/vnd.kubernetes.protobuf;as=%[1]s;g=meta.k8s.io;v=v1," +
	"application/json;as=%[1]s;g=meta.k8s.io;v=v1,application/json"

// answerWithin bounds the wait for the head of an answer. A server that takes a
// connection and says nothing is as good as gone.
const answerWithin = 30 * time.Second

// api speaks to the API server. It is a REST client with just the types that
// the watcher reads, without client-go's own retries: they would hide for up to
// ten times Retry-After what the server says while it starts.
type api struct {
	rest   *rest.RESTClient
	http   *http.Client
	params runtime.ParameterCodec
}

func newAPI(config *rest.Config) (*api, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, autoscalingv2.AddToScheme, policyv1.AddToScheme,
		metav1.AddMetaToScheme, addVPAs,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("scheme: %w", err)
		}
	}
	version := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(scheme, version)

	own := rest.CopyConfig(config)
	own.Timeout = 0
	// Each list asks for one page after the other and waits by itself after
	// errors; client-go's 5 requests a second would make 10,000 pods take 20 s.
	own.QPS = -1
	own.GroupVersion = &schema.GroupVersion{}
	own.APIPath = "/unused" // Every request names its path.
	own.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	own.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	own.ContentType = runtime.ContentTypeProtobuf
	own.WarningHandlerWithContext = rest.NoWarnings{}
	if own.UserAgent == "" {
		own.UserAgent = "rightsizer-watcher"
	}
	own.Wrap(func(next http.RoundTripper) http.RoundTripper { return heeding{next} })
	client, err := rest.HTTPClientFor(own)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	restClient, err := rest.RESTClientForConfigAndClient(own, client)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return &api{rest: restClient, http: client, params: runtime.NewParameterCodec(scheme)}, nil
}

// close lets go of idle connections, each of which holds goroutines.
func (a *api) close() {
	utilnet.CloseIdleConnectionsFor(a.http.Transport)
}

func (a *api) request(r *resource, opts *metav1.ListOptions, partial string) *rest.Request {
	req := a.rest.Get().AbsPath(r.path).MaxRetries(0).
		SpecificallyVersionedParams(opts, a.params, schema.GroupVersion{Version: "v1"})
	if r.metadata {
		req = req.SetHeader("Accept", fmt.Sprintf(metadataOnly, partial))
	}
	return req
}

// list reads one page of a resource.
func (a *api) list(ctx context.Context, r *resource, opts metav1.ListOptions) (runtime.Object, error) {
	ctx, asked := withRetryAfter(ctx)
	page, err := a.request(r, &opts, "PartialObjectMetadataList").Do(ctx).Get()
	return page, asked.because(err)
}

// page reads one page of objects that are not watched into a list.
func (a *api) page(ctx context.Context, path string, opts metav1.ListOptions, into runtime.Object) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return a.rest.Get().AbsPath(path).MaxRetries(0).
		SpecificallyVersionedParams(&opts, a.params, schema.GroupVersion{Version: "v1"}).Do(ctx).Into(into)
}

// write puts or posts an object, which names its kind.
func (a *api) write(ctx context.Context, verb, path string, obj runtime.Object) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	raw, err := json.Marshal(obj) // The client's own encoder serves one group alone.
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	return a.rest.Verb(verb).AbsPath(path).MaxRetries(0).SetHeader("Content-Type", runtime.ContentTypeJSON).Body(raw).Do(ctx).Error()
}

// watch opens a watch. The context must live as long as the watch; cancel ends
// the attempt when no answer comes in time.
func (a *api) watch(ctx context.Context, cancel context.CancelCauseFunc, r *resource, opts metav1.ListOptions) (watch.Interface, error) {
	opts.Watch = true
	overdue := fmt.Errorf("no answer within %s", answerWithin)
	timer := time.AfterFunc(answerWithin, func() { cancel(overdue) })
	asking, asked := withRetryAfter(ctx)
	w, err := a.request(r, &opts, "PartialObjectMetadata").Watch(asking)
	if !timer.Stop() && context.Cause(ctx) == overdue { //nolint:errorlint // The very value.
		if w != nil {
			w.Stop()
		}
		return nil, overdue
	}
	return w, asked.because(err)
}

// version is the server's gitVersion; empty where reading it is not allowed.
func (a *api) version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	ctx, asked := withRetryAfter(ctx)
	result := a.rest.Get().AbsPath("/version").MaxRetries(0).SetHeader("Accept", runtime.ContentTypeJSON).Do(ctx)
	if err := result.Error(); err != nil { // Unlike Raw, it reads the Status in the answer.
		return "", asked.because(err)
	}
	raw, err := result.Raw()
	return parseVersion(raw), err
}

// clusterUID is the UID of namespace kube-system.
func (a *api) clusterUID(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	ctx, asked := withRetryAfter(ctx)
	ns := &corev1.Namespace{}
	err := a.rest.Get().AbsPath("/api/v1/namespaces/" + metav1.NamespaceSystem).MaxRetries(0).Do(ctx).Into(ns)
	if err != nil {
		return "", asked.because(err)
	}
	if ns.UID == "" {
		return "", fmt.Errorf("namespace %s has no UID", metav1.NamespaceSystem)
	}
	return string(ns.UID), nil
}
