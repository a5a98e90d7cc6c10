package manifests_test

import (
	"log/slog"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/cli"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// byHelm is a release as Helm 4 itself installs it: with its defaults, then with each
// value changed, then back, and removed, which leaves the CRDs and what people made.
func (a *api) byHelm(before map[string]bool) {
	t := a.t
	t.Helper()
	settings := cli.New()
	settings.KubeConfig = a.cluster.KubeconfigPath()
	settings.SetNamespace("rightsizer")
	config := action.NewConfiguration(action.ConfigurationSetLogger(slog.DiscardHandler))
	require.NoError(t, config.Init(settings.RESTClientGetter(), "rightsizer", "secret"))
	chart, err := loader.LoadDir(root + "/deploy/helm")
	require.NoError(t, err)

	install := func(takeOwnership bool) error {
		in := action.NewInstall(config)
		in.ReleaseName, in.Namespace, in.CreateNamespace = "rightsizer", "rightsizer", true
		in.WaitStrategy, in.TakeOwnership = "hookOnly", takeOwnership
		_, err := in.RunWithContext(t.Context(), chart, map[string]any{})
		return err //nolint:wrapcheck // the test's own
	}
	uninstall := func() {
		un := action.NewUninstall(config)
		un.WaitStrategy = "hookOnly"
		_, err := un.Run("rightsizer")
		require.NoError(t, err)
	}
	require.NoError(t, install(false))
	a.awaitReplicas(1)
	upgrade := func(with string, replicas int32) {
		up := action.NewUpgrade(config)
		up.Namespace, up.WaitStrategy, up.ResetValues = "rightsizer", "hookOnly", true
		_, err = up.RunWithContext(t.Context(), "rightsizer", chart, values(t, with))
		require.NoError(t, err)
		a.awaitReplicas(replicas)
	}
	upgrade(builtIn, 3)
	upgrade("", 1)
	uninstall()
	require.NoError(t, install(false), "over the CRDs that the release before left")
	uninstall()
	a.disown("clusterrightsizerpolicies.rightsizer.dev")
	require.ErrorContains(t, install(false), "invalid ownership metadata", "a CRD that kubectl applied")
	require.NoError(t, install(true))
	a.awaitReplicas(1)
	uninstall()
	require.NoError(t, a.kube.CoreV1().Namespaces().Delete(t.Context(), "rightsizer", metav1.DeleteOptions{})) // which Helm leaves

	const crd, group = "customresourcedefinitions.apiextensions.k8s.io /", "rightsizer.dev"
	a.awaitLeft(before, "apiservices.apiregistration.k8s.io /v1alpha1."+group, // which serves what crds.keep keeps
		crd+"clusterrightsizerpolicies."+group, crd+"remediations."+group, crd+"rightsizerpolicies."+group)
}

// disown has a CRD look as if kubectl had applied it.
func (a *api) disown(crd string) {
	a.t.Helper()
	patch := `{"metadata":{"annotations":{"meta.helm.sh/release-name":null,"meta.helm.sh/release-namespace":null},"labels":{"app.kubernetes.io/managed-by":null}}}`
	_, err := a.any.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}).
		Patch(a.t.Context(), crd, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	require.NoError(a.t, err)
}
