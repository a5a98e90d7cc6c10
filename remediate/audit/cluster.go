package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
)

// fieldManager is who writes segments.
const fieldManager = "rightsizer-audit"

// requestWithin bounds one request.
const requestWithin = 5 * time.Second

// bare asks the server to answer a write with names and versions alone: a segment
// need not come back whole.
const bare = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

// cluster reads and writes segments. Its errors are those of apimachinery, so that
// apierrors tells them apart.
type cluster struct {
	rest *rest.RESTClient
	http *http.Client
	path string
}

func newCluster(config *rest.Config, namespace string) (*cluster, error) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	own := rest.CopyConfig(config)
	own.Timeout = 0 // each request has its own
	own.QPS = -1    // appends are one at a time, and must not wait for a bucket
	own.GroupVersion = &schema.GroupVersion{}
	own.APIPath = "/unused" // every request names its path
	own.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	own.AcceptContentTypes, own.ContentType = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	own.WarningHandlerWithContext = rest.NoWarnings{}
	if own.UserAgent == "" {
		own.UserAgent = fieldManager
	}
	client, err := rest.HTTPClientFor(own)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	restClient, err := rest.RESTClientForConfigAndClient(own, client)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return &cluster{rest: restClient, http: client, path: "/api/v1/namespaces/" + namespace + "/configmaps"}, nil
}

func (c *cluster) close() { utilnet.CloseIdleConnectionsFor(c.http.Transport) }

// do sends a request and decodes the answer into out.
func do(ctx context.Context, req *rest.Request, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestWithin)
	defer cancel()
	result := req.MaxRetries(0).Do(ctx)
	if err := result.Error(); err != nil { // unlike Raw, it reads the Status in the answer
		return err
	}
	raw, err := result.Raw()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("decode the answer: %w", err)
	}
	return nil
}

// numbers lists the segments there are, in ascending order: names alone.
func (c *cluster) numbers(ctx context.Context) ([]int64, error) {
	var found []int64
	token := ""
	for {
		req := c.rest.Get().AbsPath(c.path).SetHeader("Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1").
			Param("labelSelector", label+"="+labelSegment).Param("limit", "500")
		if token != "" {
			req = req.Param("continue", token)
		}
		var page metav1.PartialObjectMetadataList
		if err := do(ctx, req, &page); err != nil {
			return nil, err
		}
		for i := range page.Items {
			if n, ok := segmentNumber(page.Items[i].Name); ok {
				found = append(found, n) // the server lists by name, and numbers have leading zeros
			}
		}
		if token = page.Continue; token == "" {
			return found, nil
		}
		if len(found) > maxListed {
			return nil, fmt.Errorf("there are more than %d segments; at most %d are kept", maxListed, maxSegments)
		}
	}
}

// get reads one segment.
func (c *cluster) get(ctx context.Context, number int64) (*corev1.ConfigMap, error) {
	segment := &corev1.ConfigMap{}
	err := do(ctx, c.rest.Get().AbsPath(c.path, segmentName(number)), segment)
	return segment, err
}

// create makes a segment with its first records, and returns its version.
func (c *cluster) create(ctx context.Context, number int64, key, text string, closed bool) (string, error) {
	body, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": segmentName(number), "labels": map[string]string{
			label: labelSegment, "app.kubernetes.io/name": "rightsizer", "app.kubernetes.io/managed-by": "rightsizer",
		}},
		"data": map[string]string{key: text}, "immutable": closed,
	})
	if err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	var made metav1.PartialObjectMetadata
	err = do(ctx, c.rest.Post().AbsPath(c.path).Param("fieldManager", fieldManager).SetHeader("Accept", bare).Body(body), &made)
	return made.ResourceVersion, err
}

// add appends records to a segment that has this version, and returns the new one.
// The owners of fields are dropped: they would grow with every append.
func (c *cluster) add(ctx context.Context, number int64, version, key, text string, closed bool) (string, error) {
	patch := map[string]any{
		"metadata": map[string]any{"resourceVersion": version, "managedFields": []any{map[string]any{}}},
		"data":     map[string]string{key: text},
	}
	if closed {
		patch["immutable"] = true
	}
	body, err := json.Marshal(patch)
	if err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	var made metav1.PartialObjectMetadata
	err = do(ctx, c.rest.Patch(types.MergePatchType).AbsPath(c.path, segmentName(number)).
		Param("fieldManager", fieldManager).SetHeader("Accept", bare).Body(body), &made)
	return made.ResourceVersion, err
}

// remove deletes a segment, unless it is another by now.
func (c *cluster) remove(ctx context.Context, segment *corev1.ConfigMap) error {
	body, err := json.Marshal(metav1.DeleteOptions{
		TypeMeta:      metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
		Preconditions: &metav1.Preconditions{UID: &segment.UID, ResourceVersion: &segment.ResourceVersion},
	})
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return do(ctx, c.rest.Delete().AbsPath(c.path, segment.Name).Body(body), new(json.RawMessage))
}

// errGone says that a segment which was listed is not there any more.
var errGone = errors.New("a segment went while it was read")
