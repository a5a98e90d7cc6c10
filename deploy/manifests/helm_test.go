package manifests_test

import (
	"log/slog"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/cli"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

	install := action.NewInstall(config)
	install.ReleaseName, install.Namespace, install.CreateNamespace = "rightsizer", "rightsizer", true
	install.WaitStrategy = "hookOnly"
	_, err = install.RunWithContext(t.Context(), chart, map[string]any{})
	require.NoError(t, err)
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
	uninstall := action.NewUninstall(config)
	uninstall.WaitStrategy = "hookOnly"
	_, err = uninstall.Run("rightsizer")
	require.NoError(t, err)
	require.NoError(t, a.kube.CoreV1().Namespaces().Delete(t.Context(), "rightsizer", metav1.DeleteOptions{})) // which Helm leaves

	const crd, group = "customresourcedefinitions.apiextensions.k8s.io /", "rightsizer.dev"
	a.awaitLeft(before, "apiservices.apiregistration.k8s.io /v1alpha1."+group, // which serves what crds.keep keeps
		crd+"clusterrightsizerpolicies."+group, crd+"remediations."+group, crd+"rightsizerpolicies."+group)
}
