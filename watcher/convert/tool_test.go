package convert_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/watcher/convert"
	"github.com/rightsizer/rightsizer/watcher/object"
)

func TestTheToolThatOwnsAManifest(t *testing.T) {
	t.Parallel()
	type texts = map[string]string
	for name, c := range map[string]struct {
		annotations, labels texts
		want                *object.Tool
	}{
		"nobody":                    {labels: texts{"app": "web", "app.kubernetes.io/instance": "web"}},
		"an application":            {annotations: texts{"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web"}, want: &object.Tool{Kind: "Argo CD", Name: "shop"}},
		"by its label":              {labels: texts{"argocd.argoproj.io/instance": "shop"}, want: &object.Tool{Kind: "Argo CD", Name: "shop"}},
		"a kustomization":           {labels: texts{"kustomize.toolkit.fluxcd.io/name": "apps"}, want: &object.Tool{Kind: "Flux", Name: "apps"}},
		"a release":                 {annotations: texts{"meta.helm.sh/release-name": "web"}, want: &object.Tool{Kind: "Helm", Name: "web"}},
		"who applies somebody's is": {annotations: texts{"meta.helm.sh/release-name": "web"}, labels: texts{"helm.toolkit.fluxcd.io/name": "web-of-flux"}, want: &object.Tool{Kind: "Flux", Name: "web-of-flux"}},
	} {
		got, err := convert.New().Deployment(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "web", UID: "u", Annotations: c.annotations, Labels: c.labels,
		}})
		require.NoError(t, err, name)
		assert.Equal(t, c.want, got.Tool, name)
	}
}
