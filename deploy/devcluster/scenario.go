package devcluster

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	sigsyaml "sigs.k8s.io/yaml"
)

// fieldManager is under whose name objects are applied.
const fieldManager = "devcluster"

// scenarioLabel begins the labels of a namespace that a scenario has made; the
// scenario's name follows. A namespace is removed with its last scenario.
const scenarioLabel = "scenario." + annotationPrefix

//go:embed scenarios/*.yaml
var scenarioFiles embed.FS

// Scenario is a set of workloads of which something can be said.
type Scenario struct {
	Name        string
	Description string // one line

	objects []*unstructured.Unstructured
	include []inclusion
}

// inclusion is another scenario that belongs to a mixed one.
type inclusion struct {
	Scenario  string `json:"scenario"`
	Namespace string `json:"namespace"`
}

// Scenarios lists all scenarios by name.
func Scenarios() ([]Scenario, error) {
	entries, err := scenarioFiles.ReadDir("scenarios")
	if err != nil {
		return nil, fmt.Errorf("list scenarios: %w", err)
	}
	var all []Scenario
	for _, e := range entries {
		s, err := readScenario(strings.TrimSuffix(e.Name(), ".yaml"))
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// readScenario reads scenarios/NAME.yaml: a first line of comment that
// describes it, then objects, or a document with `include:`.
func readScenario(name string) (Scenario, error) {
	data, err := scenarioFiles.ReadFile(path.Join("scenarios", name+".yaml"))
	if err != nil {
		return Scenario{}, fmt.Errorf("scenario %q: there is none of that name, `devcluster scenario` lists them", name)
	}
	first, _, _ := strings.Cut(string(data), "\n")
	s := Scenario{Name: name, Description: strings.TrimSpace(strings.TrimPrefix(first, "#"))}
	reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return Scenario{}, fmt.Errorf("scenario %q: %w", name, err)
		}
		if err := s.add(document); err != nil {
			return Scenario{}, fmt.Errorf("scenario %q: %w", name, err)
		}
	}
}

func (s *Scenario) add(document []byte) error {
	var mixed struct {
		Include []inclusion `json:"include"`
	}
	if err := sigsyaml.Unmarshal(document, &mixed); err != nil {
		return fmt.Errorf("read a document: %w", err)
	}
	if len(mixed.Include) > 0 {
		s.include = append(s.include, mixed.Include...)
		return nil
	}
	object := map[string]any{}
	if err := sigsyaml.Unmarshal(document, &object); err != nil {
		return fmt.Errorf("read an object: %w", err)
	}
	if len(object) > 0 {
		s.objects = append(s.objects, &unstructured.Unstructured{Object: object})
	}
	return nil
}

// defaultNamespace is where a scenario goes when nobody says otherwise.
func (s Scenario) defaultNamespace() string { return "sim-" + s.Name }

// Apply puts a scenario into a namespace, which is made when it is absent;
// empty means the scenario's own (for mixed: several). Applying it again
// restores what was changed.
func (c *Cluster) Apply(ctx context.Context, scenario, namespace string) error {
	return ApplyScenario(ctx, c.config, scenario, namespace)
}

// Remove takes a scenario's objects away again, and the namespace if a scenario
// made it and none is left in it.
func (c *Cluster) Remove(ctx context.Context, scenario, namespace string) error {
	return RemoveScenario(ctx, c.config, scenario, namespace)
}

// ApplyScenario is Cluster.Apply for a cluster that another process holds.
func ApplyScenario(ctx context.Context, config *rest.Config, scenario, namespace string) error {
	a, err := newApplier(config)
	if err != nil {
		return err
	}
	return a.each(scenario, namespace, func(s Scenario, ns string) error { return a.apply(ctx, s, ns) })
}

// RemoveScenario is Cluster.Remove for a cluster that another process holds.
func RemoveScenario(ctx context.Context, config *rest.Config, scenario, namespace string) error {
	a, err := newApplier(config)
	if err != nil {
		return err
	}
	return a.each(scenario, namespace, func(s Scenario, ns string) error { return a.remove(ctx, s, ns) })
}

// applier knows how to reach objects of any kind.
type applier struct {
	kube    kubernetes.Interface
	dynamic dynamic.Interface
	mapper  meta.RESTMapper
}

func newApplier(config *rest.Config) (*applier, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = 200, 400 // the default, five requests a second, makes a scenario slow
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the cluster: %w", err)
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the cluster: %w", err)
	}
	finder, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the cluster: %w", err)
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(finder))
	return &applier{kube: kube, dynamic: objects, mapper: mapper}, nil
}

// each calls do for the scenario, or for all that it includes.
func (a *applier) each(name, namespace string, do func(Scenario, string) error) error {
	s, err := readScenario(name)
	if err != nil {
		return err
	}
	if len(s.include) == 0 {
		if namespace == "" {
			namespace = s.defaultNamespace()
		}
		if err := do(s, namespace); err != nil {
			return fmt.Errorf("scenario %s in namespace %s: %w", name, namespace, err)
		}
		return nil
	}
	for _, i := range s.include {
		ns := namespace
		if ns == "" {
			ns = i.Namespace
		}
		if err := a.each(i.Scenario, ns, do); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) apply(ctx context.Context, s Scenario, namespace string) error {
	if err := a.ensureNamespace(ctx, s, namespace); err != nil {
		return err
	}
	for _, o := range s.objects {
		client, err := a.client(o, namespace)
		if err != nil {
			return err
		}
		if err := serverSideApply(ctx, client, o.Object); err != nil {
			return err
		}
		if err := applyStatus(ctx, client, o); err != nil {
			return err
		}
	}
	return nil
}

// applyStatus writes the status that a scenario gives an object: the API server takes
// none with the object itself.
func applyStatus(ctx context.Context, client dynamic.ResourceInterface, o *unstructured.Unstructured) error {
	status, given := o.Object["status"]
	if !given {
		return nil
	}
	only := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": o.GetAPIVersion(), "kind": o.GetKind(), "metadata": map[string]any{"name": o.GetName()}, "status": status,
	}}
	if _, err := client.ApplyStatus(ctx, o.GetName(), only, metav1.ApplyOptions{FieldManager: fieldManager, Force: true}); err != nil {
		return fmt.Errorf("apply the status of %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return nil
}

// ensureNamespace makes the namespace, and notes that the scenario is in it.
func (a *applier) ensureNamespace(ctx context.Context, s Scenario, namespace string) error {
	if err := a.makeNamespace(ctx, namespace); err != nil {
		return err
	}
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:""}}}`, scenarioLabel+s.Name)
	if _, err := a.kube.CoreV1().Namespaces().Patch(ctx, namespace, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("label namespace %s: %w", namespace, err)
	}
	return nil
}

// makeNamespace makes a namespace and waits for its service account, without which
// pods are refused.
func (a *applier) makeNamespace(ctx context.Context, namespace string) error {
	_, err := a.kube.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		object := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Namespace",
			"metadata": map[string]any{"name": namespace, "labels": map[string]any{"app.kubernetes.io/managed-by": fieldManager}},
		}}
		client, err := a.client(object, "")
		if err != nil {
			return err
		}
		if err := serverSideApply(ctx, client, object.Object); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("get namespace %s: %w", namespace, err)
	}
	return waitFor(ctx, 50*time.Millisecond, func() (bool, error) {
		_, err := a.kube.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
}

func (a *applier) remove(ctx context.Context, s Scenario, namespace string) error {
	background := metav1.DeletePropagationBackground
	for _, o := range s.objects {
		client, err := a.client(o, namespace)
		if err != nil {
			return err
		}
		err = client.Delete(ctx, o.GetName(), metav1.DeleteOptions{PropagationPolicy: &background})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete %s %s: %w", o.GetKind(), o.GetName(), err)
		}
	}
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:null}}}`, scenarioLabel+s.Name)
	ns, err := a.kube.CoreV1().Namespaces().Patch(ctx, namespace, types.MergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove the scenario's label from namespace %s: %w", namespace, err)
	}
	if ns.Labels["app.kubernetes.io/managed-by"] != fieldManager {
		return nil
	}
	for label := range ns.Labels {
		if strings.HasPrefix(label, scenarioLabel) {
			return nil
		}
	}
	if err := a.kube.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete namespace %s: %w", namespace, err)
	}
	return nil
}

// client returns the client of an object's kind, in the namespace if the kind
// has one.
func (a *applier) client(o *unstructured.Unstructured, namespace string) (dynamic.ResourceInterface, error) {
	kind := o.GroupVersionKind()
	mapping, err := a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, fmt.Errorf("find out how to reach a %s: %w", kind.Kind, err)
	}
	client := a.dynamic.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return client.Namespace(namespace), nil
	}
	return client, nil
}
