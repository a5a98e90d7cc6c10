package devcluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

// servedWithin is how long a kind may take until it is served after its
// CustomResourceDefinition was applied.
const servedWithin = time.Minute

// ApplyManifests applies the objects of a file, or of all *.yaml files of a folder
// in the order of their names, by server-side apply. Those that have a namespace go
// into the one that is named, which is made when it is absent. A kind that is not
// served yet is waited for, for a minute: it may be one that was applied before.
func (c *Cluster) ApplyManifests(ctx context.Context, path, namespace string) error {
	files := []string{path}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("manifests: %w", err)
	}
	if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*.yaml")); err != nil || len(files) == 0 {
			return fmt.Errorf("manifests: folder %s has no *.yaml", path)
		}
	}
	a, err := newApplier(c.config)
	if err != nil {
		return err
	}
	if namespace != "" {
		if err := a.makeNamespace(ctx, namespace); err != nil {
			return err
		}
	}
	for _, file := range files {
		if err := a.applyFile(ctx, file, namespace); err != nil {
			return fmt.Errorf("manifests: %s: %w", file, err)
		}
	}
	return nil
}

// MakeNamespace makes a namespace, unless it is there.
func (c *Cluster) MakeNamespace(ctx context.Context, name string) error {
	a, err := newApplier(c.config)
	if err != nil {
		return err
	}
	return a.makeNamespace(ctx, name)
}

func (a *applier) applyFile(ctx context.Context, file, namespace string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err //nolint:wrapcheck // names the file
	}
	reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a document: %w", err)
		}
		object := map[string]any{}
		if err := sigsyaml.Unmarshal(document, &object); err != nil {
			return fmt.Errorf("read an object: %w", err)
		}
		if len(object) == 0 {
			continue
		}
		if err := a.applyOnceServed(ctx, &unstructured.Unstructured{Object: object}, namespace); err != nil {
			return err
		}
	}
}

// applyOnceServed applies an object as soon as its kind is served.
func (a *applier) applyOnceServed(ctx context.Context, object *unstructured.Unstructured, namespace string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, servedWithin, fmt.Errorf("%s is not served after %s", object.GroupVersionKind(), servedWithin))
	defer cancel()
	return waitFor(ctx, 100*time.Millisecond, func() (bool, error) {
		client, err := a.client(object, namespace)
		if meta.IsNoMatchError(err) {
			meta.MaybeResetRESTMapper(a.mapper)
			return false, nil
		}
		if err != nil {
			return false, err
		}
		err = serverSideApply(ctx, client, object.Object)
		if apierrors.IsNotFound(err) { // discovery knows it a moment before it is served
			return false, nil
		}
		return err == nil, err
	})
}
