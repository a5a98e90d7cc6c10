package manifests_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/yannh/kubeconform/pkg/validator"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/rightsizer/rightsizer/deploy/devcluster"
)

// patience bounds every wait; nothing waits that long when all is well.
const patience = 3 * time.Minute

// api is the API server of a devcluster, with what it warned of.
type api struct {
	t       *testing.T
	cluster *devcluster.Cluster
	kube    *kubernetes.Clientset
	any     dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper

	mu       sync.Mutex
	warnings []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (a *api) HandleWarningHeader(code int, _, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if code == 299 {
		a.warnings = append(a.warnings, text)
	}
}

func start(t *testing.T) *api {
	t.Helper()
	cluster, err := devcluster.Start(t.Context(), devcluster.Options{Nodes: 3, Progress: devcluster.ProgressPrinter(os.Stderr, false)})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })
	a := &api{t: t, cluster: cluster}
	config := rest.CopyConfig(cluster.RESTConfig())
	config.QPS, config.WarningHandler = -1, a
	a.kube, err = kubernetes.NewForConfig(config)
	require.NoError(t, err)
	a.any, err = dynamic.NewForConfig(config)
	require.NoError(t, err)
	a.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(a.kube.Discovery()))
	return a
}

func (a *api) resource(o *object) (dynamic.ResourceInterface, error) {
	gvk := o.GroupVersionKind()
	mapping, err := a.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) { // of a CRD that is new
		a.mapper.Reset()
		mapping, err = a.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	if err != nil {
		return nil, err
	}
	if ns := o.GetNamespace(); ns != "" {
		return a.any.Resource(mapping.Resource).Namespace(ns), nil
	}
	return a.any.Resource(mapping.Resource), nil
}

// order is that of installing; what is not named comes in between.
func order(key string) int {
	for i, kind := range []string{"Namespace", "CustomResourceDefinition", "ServiceAccount", "ConfigMap"} {
		if strings.HasPrefix(key, kind+" ") {
			return i
		}
	}
	if strings.HasPrefix(key, "Deployment ") {
		return 9
	}
	return 5
}

func sorted(objects map[string]*object) []string {
	return slices.SortedFunc(maps.Keys(objects), func(a, b string) int { return order(a)*1000 - order(b)*1000 + strings.Compare(a, b) })
}

// apply applies objects on the server, which refuses fields that it does not know, and
// returns what it has then.
func (a *api) apply(objects map[string]*object) map[string]*object {
	a.t.Helper()
	out := map[string]*object{}
	for _, key := range sorted(objects) {
		client, err := a.resource(objects[key])
		require.NoError(a.t, err, key)
		body, err := json.Marshal(objects[key])
		require.NoError(a.t, err)
		out[key], err = client.Patch(a.t.Context(), objects[key].GetName(), types.ApplyPatchType, body, metav1.PatchOptions{
			FieldManager: "manifests", FieldValidation: metav1.FieldValidationStrict, Force: new(true),
		})
		require.NoError(a.t, err, key)
	}
	return out
}

func (a *api) remove(objects map[string]*object) {
	a.t.Helper()
	keys := sorted(objects)
	slices.Reverse(keys)
	for _, key := range keys {
		client, err := a.resource(objects[key])
		require.NoError(a.t, err, key)
		err = client.Delete(a.t.Context(), objects[key].GetName(), metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationForeground)})
		require.NoError(a.t, err, key)
	}
}

// await waits until a condition holds, or says what it lacked last.
func (a *api) await(lacking func(context.Context) string) {
	a.t.Helper()
	var last string
	require.Eventually(a.t, func() bool {
		ctx, cancel := context.WithTimeout(a.t.Context(), 20*time.Second)
		defer cancel()
		last = lacking(ctx)
		return last == ""
	}, patience, 100*time.Millisecond, "waiting for: %v", lazily(func() string { return last }))
}

// lazily is a message that is made when it is shown.
type lazily func() string

func (l lazily) String() string { return l() }

func (a *api) awaitReplicas(n int32) {
	a.t.Helper()
	a.await(func(ctx context.Context) string {
		d, err := a.kube.AppsV1().Deployments("rightsizer").Get(ctx, "rightsizer", metav1.GetOptions{})
		if err != nil {
			return err.Error()
		}
		s := d.Status
		if s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == n && s.ReadyReplicas == n && s.Replicas == n {
			return ""
		}
		return fmt.Sprintf("%d replicas: %+v", n, s)
	})
}

// byThemselves are resources that come and go without us.
var byThemselves = []string{"events", "leases", "componentstatuses", "ipaddresses", "endpoints"}

// everythingThere lists all objects of the cluster, by resource and name.
func (a *api) everythingThere(ctx context.Context) (map[string]bool, error) {
	lists, err := a.kube.Discovery().ServerPreferredResources()
	if failed, ok := errors.AsType[*discovery.ErrGroupDiscoveryFailed](err); ok { // what is measured is served by another, who may not answer yet
		maps.DeleteFunc(failed.Groups, func(g schema.GroupVersion, _ error) bool { return g.Group == "metrics.k8s.io" })
		if len(failed.Groups) == 0 {
			err = nil
		}
	}
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for i := range list.APIResources {
			r := &list.APIResources[i]
			if !slices.Contains(r.Verbs, "list") || slices.Contains(byThemselves, r.Name) || version.Group == "metrics.k8s.io" {
				continue
			}
			found, err := a.any.Resource(version.WithResource(r.Name)).List(ctx, metav1.ListOptions{})
			if apierrors.IsNotFound(err) {
				continue // a CRD on its way out
			}
			if err != nil {
				return nil, fmt.Errorf("list %s: %w", r.Name, err)
			}
			for j := range found.Items {
				out[fmt.Sprintf("%s.%s %s/%s", r.Name, version.Group, found.Items[j].GetNamespace(), found.Items[j].GetName())] = true
			}
		}
	}
	return out, nil
}

// awaitLeft waits until these objects alone are there besides those of before.
func (a *api) awaitLeft(before map[string]bool, kept ...string) {
	a.t.Helper()
	a.await(func(ctx context.Context) string {
		after, err := a.everythingThere(ctx)
		if err != nil {
			return err.Error()
		}
		maps.DeleteFunc(after, func(name string, _ bool) bool { return before[name] })
		if left := slices.Sorted(maps.Keys(after)); !slices.Equal(left, kept) {
			return fmt.Sprintf("%v and nothing else: %v", kept, left)
		}
		return ""
	})
}

// One control plane for all of it: what is installed is taken strictly, runs where
// the restricted Pod Security Standard is enforced, is upgraded, and leaves nothing;
// then the same by Helm itself.
func TestOnAControlPlane(t *testing.T) {
	a := start(t)
	before, err := a.everythingThere(t.Context())
	require.NoError(t, err)

	raw, err := os.ReadFile(root + "/deploy/install.yaml")
	require.NoError(t, err)
	install := decode(t, string(raw))
	first := a.apply(install)
	a.awaitReplicas(1)
	_, err = a.kube.CoreV1().Pods("rightsizer").Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "ordinary"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "a"}}},
	}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	require.ErrorContains(t, err, "PodSecurity", "the restricted standard is enforced")
	a.awaitAdmission()

	for key, again := range a.apply(install) {
		assert.Equal(t, first[key].GetGeneration(), again.GetGeneration(), "%s: applied twice", key)
		if again.GetGeneration() == 0 { // without a status that moves its version
			assert.Equal(t, first[key].GetResourceVersion(), again.GetResourceVersion(), "%s: applied twice", key)
		}
	}

	t.Run("kubeconform", func(t *testing.T) {
		check := a.kubeconform(t)
		full := text(t, "rightsizer", "rightsizer", builtIn)
		for name, manifest := range map[string]string{"install.yaml": string(raw), "everything": full, "overlay": overlay(t, "ha")} {
			assert.Empty(t, check(manifest), name)
		}
		assert.NotEmpty(t, check("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {prots: []}\n"), "a typo")
		assert.NotEmpty(t, check("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: one}\n"), "another type")
		examples, err := filepath.Glob(root + "/deploy/crd/examples/*.yaml")
		require.NoError(t, err)
		for _, file := range examples {
			example, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Empty(t, check(string(example)), file)
		}
	})

	next := render(t, builtIn)
	next["Namespace /rightsizer"] = install["Namespace /rightsizer"]
	a.apply(next)
	gone := map[string]*object{}
	for key, o := range install {
		if next[key] == nil {
			gone[key] = o
		}
	}
	assert.Len(t, gone, 1, "the service account of another name")
	a.remove(gone)
	a.awaitReplicas(3)
	assert.Empty(t, a.warnings)

	a.remove(next)
	a.awaitLeft(before)

	a.byHelm(before)
}

// awaitAdmission waits until the shipped admission policies are in force.
func (a *api) awaitAdmission() {
	a.t.Helper()
	policies := a.any.Resource(schema.GroupVersionResource{Group: "rightsizer.dev", Version: "v1alpha1", Resource: "rightsizerpolicies"}).Namespace("rightsizer")
	a.await(func(ctx context.Context) string {
		_, err := policies.Create(ctx, &object{Object: map[string]any{
			"apiVersion": "rightsizer.dev/v1alpha1", "kind": "RightSizerPolicy",
			"metadata": map[string]any{"name": "here"}, "spec": map[string]any{"mode": "Observe"},
		}}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if apierrors.IsForbidden(err) && strings.Contains(err.Error(), "out of reach") {
			return ""
		}
		return fmt.Sprintf("a refusal of policies in the operator's namespace: %v", err)
	})
}

// kubeconform checks manifests by the schemas that the API server itself publishes; it
// returns what is wrong.
func (a *api) kubeconform(t *testing.T) func(manifest string) []string {
	t.Helper()
	dir := t.TempDir()
	paths, err := a.kube.Discovery().OpenAPIV3().Paths()
	require.NoError(t, err)
	for path, group := range paths {
		if path != "api/v1" && strings.Count(path, "/") != 2 || strings.HasPrefix(path, "apis/metrics.k8s.io") {
			continue // no group of its own, or served by another, who may not answer yet
		}
		raw, err := group.Schema("application/json")
		require.NoError(t, err, path)
		writeSchemas(t, dir, raw)
	}
	check, err := validator.New([]string{dir + "/{{.Group}}_{{.ResourceAPIVersion}}_{{.ResourceKind}}.json"}, validator.Opts{Strict: true, KubernetesVersion: "1.37.2"})
	require.NoError(t, err)
	return func(manifest string) []string {
		var wrong []string
		for _, r := range check.Validate("manifest", io.NopCloser(strings.NewReader(manifest))) {
			if r.Status != validator.Valid && r.Status != validator.Empty {
				wrong = append(wrong, fmt.Sprintf("%v: %v", r.Status, r.Err))
			}
		}
		return wrong
	}
}

// writeSchemas writes one JSON schema for each kind of an OpenAPI document.
func writeSchemas(t *testing.T, dir string, raw []byte) {
	t.Helper()
	var doc struct {
		Components struct {
			Schemas map[string]map[string]any `json:"schemas"`
		} `json:"components"`
	}
	require.NoError(t, json.Unmarshal(raw, &doc))
	for _, s := range doc.Components.Schemas {
		strict(s)
	}
	for name, s := range doc.Components.Schemas {
		kinds, _ := s["x-kubernetes-group-version-kind"].([]any)
		if len(kinds) != 1 { // lists and options, which are no manifests
			continue
		}
		kind := kinds[0].(map[string]any)
		out, err := json.Marshal(map[string]any{"$ref": "#/components/schemas/" + name, "components": doc.Components})
		require.NoError(t, err)
		group := kind["group"].(string)
		if group == "" {
			group = kind["version"].(string) // as kubeconform names the core group
		}
		file := fmt.Sprintf("%s_%s_%s.json", group, kind["version"], strings.ToLower(kind["kind"].(string)))
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), out, 0o600))
	}
}

// strict has a schema refuse fields that it does not name, as the API server does.
func strict(s map[string]any) {
	properties, _ := s["properties"].(map[string]any)
	if len(properties) > 0 && s["x-kubernetes-preserve-unknown-fields"] != true && s["additionalProperties"] == nil {
		s["additionalProperties"] = false
	}
	for _, p := range properties {
		if p, isMap := p.(map[string]any); isMap {
			strict(p)
		}
	}
	for _, inner := range []string{"items", "additionalProperties"} {
		if p, isMap := s[inner].(map[string]any); isMap {
			strict(p)
		}
	}
}
