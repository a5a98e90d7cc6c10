package devcluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

// Annotations of a node that this package and kwok read.
const (
	// simulatedNode marks nodes whose kubelet kwok plays. A test may add nodes
	// of its own by setting it to "true".
	simulatedNode = annotationPrefix + "node"
	// metricsPath tells metrics-server where to ask for the node's usage.
	metricsPath = "metrics.k8s.io/resource-metrics-path"
	// managedAttach is what kubelets say of nodes whose volumes a controller attaches.
	managedAttach = "volumes.kubernetes.io/controller-managed-attach-detach"
)

// machine is a kind of node, with what is left of it for pods.
type machine struct {
	instanceType      string
	cpu, memory       string // capacity
	podCPU, podMemory string // allocatable: less what system and kubelet keep
}

// machines are dealt out in turn: four common ones, then a large one.
var machines = []machine{
	{"m6i.xlarge", "4", "16Gi", "3920m", "15155Mi"},
	{"m6i.xlarge", "4", "16Gi", "3920m", "15155Mi"},
	{"m6i.2xlarge", "8", "32Gi", "7910m", "30893Mi"},
	{"r6i.xlarge", "4", "32Gi", "3920m", "30893Mi"},
	{"m6i.4xlarge", "16", "64Gi", "15890m", "61800Mi"},
}

const (
	region  = "eu-central-1"
	maxPods = "110"
)

// node is the i-th simulated node, counted from zero.
func node(i int) *corev1.Node {
	m := machines[i%len(machines)]
	zone := region + string(rune('a'+i%3))
	name := fmt.Sprintf("node-%d", i+1)
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Annotations: map[string]string{
				simulatedNode: "true",
				metricsPath:   "/metrics/nodes/" + name + "/metrics/resource",
				managedAttach: "true",
			},
			Labels: map[string]string{
				corev1.LabelHostname:           name,
				corev1.LabelOSStable:           "linux",
				corev1.LabelArchStable:         "amd64",
				corev1.LabelInstanceTypeStable: m.instanceType,
				corev1.LabelTopologyRegion:     region,
				corev1.LabelTopologyZone:       zone,
			},
		},
		Spec: corev1.NodeSpec{ProviderID: fmt.Sprintf("aws:///%s/i-%017x", zone, i+1)},
		Status: corev1.NodeStatus{
			Capacity:    resources(m.cpu, m.memory),
			Allocatable: resources(m.podCPU, m.podMemory),
		},
	}
}

func resources(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse(cpu),
		corev1.ResourceMemory:           resource.MustParse(memory),
		corev1.ResourcePods:             resource.MustParse(maxPods),
		corev1.ResourceEphemeralStorage: resource.MustParse("100Gi"),
	}
}

func (c *Cluster) createNodes(ctx context.Context) error {
	for i := range c.options.Nodes {
		_, err := c.kube.CoreV1().Nodes().Create(ctx, node(i), metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create node %d: %w", i+1, err)
		}
	}
	return nil
}

// nodesReady says whether every node is Ready and open to pods.
func (c *Cluster) nodesReady(ctx context.Context) (bool, error) {
	nodes, err := c.kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, fmt.Errorf("list nodes: %w", err)
	}
	ready := 0
	for _, n := range nodes.Items {
		for _, condition := range n.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue && len(n.Spec.Taints) == 0 {
				ready++
			}
		}
	}
	return ready >= c.options.Nodes, nil
}

// writeInputs writes the files that components read at their start.
func (c *Cluster) writeInputs() error {
	stages, err := stageDocuments()
	if err != nil {
		return err
	}
	documents := append([]string{stages}, c.options.Stages...)
	errs := []error{writeSecret(c.files.stages(), []byte(strings.Join(documents, "\n---\n")))}
	if c.options.AuditPolicy != "" {
		// kube-apiserver takes text that begins with a brace for JSON.
		policy, err := yaml.YAMLToJSON([]byte(c.options.AuditPolicy))
		if err != nil {
			return fmt.Errorf("read the audit policy: %w", err)
		}
		errs = append(errs, writeSecret(c.files.auditPolicy(), policy))
	}
	return errors.Join(errs...)
}

// registerMetrics puts metrics-server behind the API server. Its Service has no
// pods: it is a name for localhost, where the process listens.
func (c *Cluster) registerMetrics(ctx context.Context) error {
	ca, err := os.ReadFile(c.files.pki("ca.crt"))
	if err != nil {
		return fmt.Errorf("read the authority's certificate: %w", err)
	}
	port := int64(c.ports.metricsServer.port)
	service := map[string]any{
		"apiVersion": "v1", "kind": "Service",
		"metadata": map[string]any{"name": "metrics-server", "namespace": "kube-system"},
		"spec": map[string]any{
			"type": "ExternalName", "externalName": "localhost",
			"ports": []any{map[string]any{"port": port, "protocol": "TCP"}},
		},
	}
	apiService := map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
		"metadata": map[string]any{"name": "v1beta1.metrics.k8s.io"},
		"spec": map[string]any{
			"group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": int64(100), "versionPriority": int64(100),
			"caBundle": ca,
			"service":  map[string]any{"name": "metrics-server", "namespace": "kube-system", "port": port},
		},
	}
	client, err := dynamic.NewForConfig(c.config)
	if err != nil {
		return fmt.Errorf("make a client of the cluster: %w", err)
	}
	services := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "services"}).Namespace("kube-system")
	if err := serverSideApply(ctx, services, service); err != nil {
		return err
	}
	apiServices := client.Resource(schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"})
	return serverSideApply(ctx, apiServices, apiService)
}

// serverSideApply applies one object under our name.
func serverSideApply(ctx context.Context, client dynamic.ResourceInterface, object map[string]any) error {
	// Through JSON, since an unstructured object takes no bytes and such.
	data, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("encode an object: %w", err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(data); err != nil {
		return fmt.Errorf("decode an object: %w", err)
	}
	_, err = client.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", u.GetKind(), u.GetName(), err)
	}
	return nil
}
