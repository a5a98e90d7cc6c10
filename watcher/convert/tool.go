package convert

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/watcher/object"
)

// marks are what tools that apply manifests leave on the objects, as annotations or
// labels whose value names what the object belongs to: the most telling first, since
// Argo CD and Flux may apply charts of Helm's. remediate/kube knows those of them
// that take changes back; a test of server/app holds both together.
var marks = []struct{ tool, key string }{
	{"Argo CD", "argocd.argoproj.io/tracking-id"}, // app:group/kind:namespace/name
	{"Argo CD", "argocd.argoproj.io/instance"},
	{"Flux", "kustomize.toolkit.fluxcd.io/name"},
	{"Flux", "helm.toolkit.fluxcd.io/name"},
	{"Helm", "meta.helm.sh/release-name"},
}

func toolOf(meta *metav1.ObjectMeta) *object.Tool {
	for _, m := range marks {
		value := meta.Annotations[m.key]
		if value == "" {
			value = meta.Labels[m.key]
		}
		if value != "" {
			name, _, _ := strings.Cut(value, ":")
			return &object.Tool{Kind: m.tool, Name: Text(name, maxName)}
		}
	}
	return nil
}
