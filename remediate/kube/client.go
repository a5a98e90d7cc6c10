package kube

import (
	"context"
	"fmt"
	"net/http"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"

	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

const (
	// answerWithin bounds one request that is no watch.
	answerWithin = 10 * time.Second
	// builtIn is how objects of Kubernetes itself are wanted; custom resources
	// are served as JSON alone.
	builtIn = "application/vnd.kubernetes.protobuf,application/json"
	asJSON  = "application/json"
)

// listVersion is that of the options of lists and watches.
var listVersion = schema.GroupVersion{Version: "v1"}

// Client speaks to the API server. Make it with New; Close it in the end.
type Client struct {
	rest *rest.RESTClient
	http *http.Client
}

// New makes a Client. It talks to nobody yet. Requests are not held back here:
// whoever uses it bounds how many go on at a time.
func New(config *rest.Config) (*Client, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, policyv1.AddToScheme, autoscalingv1.AddToScheme,
		autoscalingv2.AddToScheme, v1alpha1.AddToScheme, metav1.AddMetaToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("scheme: %w", err)
		}
	}
	metav1.AddToGroupVersion(scheme, listVersion)
	own := rest.CopyConfig(config)
	own.Timeout = 0
	own.QPS = -1
	own.GroupVersion = &schema.GroupVersion{}
	own.APIPath = "/unused" // every request names its path
	own.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	own.AcceptContentTypes, own.ContentType = builtIn, asJSON
	own.WarningHandlerWithContext = rest.NoWarnings{}
	client, err := rest.HTTPClientFor(own)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	restClient, err := rest.RESTClientForConfigAndClient(own, client)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return &Client{rest: restClient, http: client}, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { utilnet.CloseIdleConnectionsFor(c.http.Transport) }

// Write says under whose name something is written, and whether only to see what
// would come of it.
type Write struct {
	Manager string
	DryRun  bool
}

func (w Write) onto(req *rest.Request) *rest.Request {
	if w.Manager != "" {
		req = req.Param("fieldManager", w.Manager)
	}
	if w.DryRun {
		req = req.Param("dryRun", metav1.DryRunAll)
	}
	return req
}

// do sends a request and decodes the answer.
func do(ctx context.Context, req *rest.Request, into runtime.Object) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	result := req.MaxRetries(0).Do(ctx)
	if into == nil {
		return result.Error()
	}
	return result.Into(into)
}

// get reads one object.
func get[T any, P interface {
	*T
	runtime.Object
}](ctx context.Context, c *Client, path ...string) (P, error) {
	out := P(new(T))
	if err := do(ctx, c.rest.Get().AbsPath(path...), out); err != nil {
		return nil, err
	}
	return out, nil
}

// list reads a list, at once: what is listed here is bounded by a selector or by
// its namespace, and by limit.
func (c *Client) list(ctx context.Context, into runtime.Object, opts metav1.ListOptions, path ...string) error {
	return do(ctx, c.rest.Get().AbsPath(path...).SpecificallyVersionedParams(&opts, metav1.ParameterCodec, listVersion), into)
}

// Version is what the server says of itself: its minor version, such as 33, and 0
// where it does not say.
func (c *Client) Version(ctx context.Context) (minor int, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	raw, err := c.rest.Get().AbsPath("/version").MaxRetries(0).Do(ctx).Raw()
	if err != nil {
		return 0, fmt.Errorf("read the server's version: %w", err)
	}
	return parseMinor(raw)
}
