package manifests

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Name is what the release, and the namespace, of plain manifests are called.
const Name = "rightsizer"

const notice = "# Made from deploy/helm by `make generate`: change it there.\n"

// namespace is the operator's own, which takes nothing but restricted pods.
const namespace = `---
apiVersion: v1
kind: Namespace
metadata:
  name: rightsizer
  labels:
    app.kubernetes.io/name: rightsizer
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/audit: restricted
    pod-security.kubernetes.io/warn: restricted
`

// sources are folders of the repository that the chart has copies of.
var sources = map[string]string{
	"deploy/crd": "deploy/helm/files/crd", "deploy/admission": "deploy/helm/files/admission", "deploy/dashboards": "deploy/helm/files/dashboards",
}

// Generate makes everything that is generated, by its path in the repository at root.
// It reads the chart as it is there: copies that are stale are an error, see Copies.
func Generate(root string) (map[string][]byte, error) {
	copies, err := Copies(root)
	if err != nil {
		return nil, err
	}
	if stale := Stale(root, copies); len(stale) > 0 {
		return nil, fmt.Errorf("%s: other than its source", strings.Join(stale, ", "))
	}
	chart := filepath.Join(root, "deploy", "helm")
	release := func(values map[string]any) (map[string]string, error) {
		return Render(chart, Release{Name: Name, Namespace: Name, Values: values})
	}
	base, err := release(nil)
	if err != nil {
		return nil, err
	}
	full, err := release(map[string]any{"replicas": 2, "rbac": map[string]any{"mode": "remediate"}})
	if err != nil {
		return nil, err
	}
	out := copies
	add := func(name string, parts ...string) { out[name] = []byte(notice + strings.Join(parts, "")) }
	add("deploy/install.yaml", namespace, Manifest(base, Templates...))
	add("deploy/kustomize/base/namespace.yaml", namespace)
	add("deploy/kustomize/base/crds.yaml", Manifest(base, "crds.yaml"))
	add("deploy/kustomize/base/admission.yaml", Manifest(base, "admission.yaml"))
	add("deploy/kustomize/base/rbac.yaml", Manifest(base, "serviceaccount.yaml", "rbac-read.yaml", "rbac-users.yaml"))
	add("deploy/kustomize/base/operator.yaml", Manifest(base, "configmap.yaml", "service.yaml", "deployment.yaml"))
	add("deploy/kustomize/overlays/remediate/rbac.yaml", Manifest(full, "rbac-remediate.yaml"))
	add("deploy/kustomize/overlays/ha/poddisruptionbudget.yaml", Manifest(full, "poddisruptionbudget.yaml"))
	readme, err := chartReadme(chart)
	if err != nil {
		return nil, err
	}
	out["deploy/helm/README.md"] = readme
	return out, nil
}

// Copies are the chart's copies of CRDs, admission policies and alerts, by their path,
// and the settings that it need not restart the operator for.
func Copies(root string) (map[string][]byte, error) {
	out := map[string][]byte{}
	for from, to := range sources {
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(from), "*.yaml"))
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", from, err)
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("%s: no manifests there", from)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("read: %w", err)
			}
			out[to+"/"+filepath.Base(file)] = text
		}
	}
	live, err := liveSettings(filepath.Join(root, "server", "config", "README.md"))
	if err != nil {
		return nil, err
	}
	out["deploy/helm/files/settings/live.txt"] = live
	return out, nil
}

// liveRow is a setting in the reference whose change in the file holds at once.
var liveRow = regexp.MustCompile("(?m)^\\| `(?:--)?([a-z0-9-]+)` \\|.*\\| live \\|")

// liveSettings are the keys, one a line, of the settings that the operator takes from
// its file without a restart, by the reference, which is made of the code.
func liveSettings(reference string) ([]byte, error) {
	text, err := os.ReadFile(reference)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	var out bytes.Buffer
	for _, row := range liveRow.FindAllSubmatch(text, -1) {
		out.Write(append(row[1], '\n'))
	}
	if out.Len() == 0 {
		return nil, fmt.Errorf("%s: no setting is live there", reference)
	}
	return out.Bytes(), nil
}

// Stale are the paths, sorted, of files at root that are not as wanted, or not there,
// and of further copies that have no source.
func Stale(root string, wanted map[string][]byte) []string {
	var stale []string
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		found, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil || !bytes.Equal(found, wanted[name]) {
			stale = append(stale, name)
		}
	}
	for _, to := range sources {
		files, _ := filepath.Glob(filepath.Join(root, filepath.FromSlash(to), "*"))
		for _, file := range files {
			if name := to + "/" + filepath.Base(file); wanted[name] == nil {
				stale = append(stale, name)
			}
		}
	}
	slices.Sort(stale)
	return stale
}

// Write writes files to root, and removes copies that have no source any more.
func Write(root string, files map[string][]byte) error {
	for _, name := range Stale(root, files) {
		path := filepath.Join(root, filepath.FromSlash(name))
		text, wanted := files[name]
		if !wanted {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove: %w", err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // of a repository
			return fmt.Errorf("make a folder: %w", err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil { //nolint:gosec // of a repository
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}
