package devcluster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

const (
	aDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.manifest.example.com}
spec:
  group: manifest.example.com
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
`
	aThing = `
# a comment alone is no object
---
apiVersion: manifest.example.com/v1
kind: Thing
metadata: {name: one}
`
)

// A folder is applied in the order of its names, and what is defined by its first
// file waits until it is served; namespaces are made. Applied again it is the same.
func TestManifestsAreApplied(t *testing.T) {
	t.Parallel()
	c := sharedCluster(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "1-definition.yaml"), []byte(aDefinition), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "2-thing.yaml"), []byte(aThing), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README.md"), []byte("not a manifest"), 0o600))
	require.NoError(t, c.ApplyManifests(t.Context(), dir, "test-manifests"))
	require.NoError(t, c.ApplyManifests(t.Context(), filepath.Join(dir, "2-thing.yaml"), "test-manifests"))
	objects, err := dynamic.NewForConfig(c.RESTConfig())
	require.NoError(t, err)
	things := objects.Resource(schema.GroupVersionResource{Group: "manifest.example.com", Version: "v1", Resource: "things"})
	_, err = things.Namespace("test-manifests").Get(t.Context(), "one", metav1.GetOptions{})
	require.NoError(t, err)
	_, err = things.Namespace("test-manifests").Get(t.Context(), "two", metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err))
	require.ErrorContains(t, c.ApplyManifests(t.Context(), filepath.Join(dir, "absent.yaml"), ""), "absent.yaml")
}
