package manifests

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
)

// Release says how the chart is rendered.
type Release struct {
	Name, Namespace string
	// Values are set over those of the chart.
	Values map[string]any
}

// Templates are the chart's, in the order in which their objects are installed.
var Templates = []string{
	"crds.yaml", "admission.yaml", "serviceaccount.yaml", "rbac-read.yaml", "rbac-remediate.yaml", "rbac-users.yaml",
	"configmap.yaml", "service.yaml", "deployment.yaml", "poddisruptionbudget.yaml", "networkpolicy.yaml", "servicemonitor.yaml", "prometheusrule.yaml",
}

// Render renders the chart in a folder by Helm 4: the text of each template that gave
// any, by its file's name. Values that its schema refuses are an error.
func Render(dir string, r Release) (map[string]string, error) {
	chart, err := loader.LoadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", dir, err)
	}
	if r.Values == nil {
		r.Values = map[string]any{}
	}
	values, err := util.ToRenderValues(chart, r.Values, common.ReleaseOptions{
		Name: r.Name, Namespace: r.Namespace, Revision: 1, IsInstall: true,
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("values: %w", err)
	}
	rendered, err := engine.Render(chart, values)
	if err != nil {
		return nil, fmt.Errorf("render: %w", err)
	}
	out := make(map[string]string, len(rendered))
	for name, text := range rendered {
		base := path.Base(name)
		if path.Ext(base) != ".yaml" || strings.TrimSpace(text) == "" {
			continue
		}
		if !slices.Contains(Templates, base) {
			return nil, fmt.Errorf("%s is not in the list of templates", base)
		}
		out[base] = text
	}
	return out, nil
}

// Manifest joins templates of a release, without what Helm alone uses.
func Manifest(rendered map[string]string, templates ...string) string {
	var b strings.Builder
	for _, name := range templates {
		text := strings.Trim(plain(rendered[name]), "\n")
		if text == "" {
			continue
		}
		if !strings.HasPrefix(text, "---\n") {
			b.WriteString("---\n")
		}
		b.WriteString(text + "\n")
	}
	return b.String()
}

// plain is a text without the lines that Helm alone uses, and blank ones.
func plain(text string) string {
	lines := strings.Split(text, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool {
		line = strings.TrimSpace(line)
		return line == "" || strings.HasPrefix(line, "helm.sh/") || line == "app.kubernetes.io/managed-by: Helm"
	}), "\n")
}
