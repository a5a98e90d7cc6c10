package manifests_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	helm3loader "helm.sh/helm/v3/pkg/chart/loader"
	helm3common "helm.sh/helm/v3/pkg/chartutil"
	helm3engine "helm.sh/helm/v3/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/rightsizer/rightsizer/deploy/manifests"
)

const (
	root  = "../.."
	chart = root + "/deploy/helm"
)

// object is one object of a manifest.
type object = unstructured.Unstructured

// decode is the objects of a manifest, by kind, namespace and name; one that is there
// twice fails the test.
func decode(t *testing.T, text string) map[string]*object {
	t.Helper()
	out := map[string]*object{}
	for doc := range strings.SplitSeq("\n"+text, "\n---\n") {
		o := &object{}
		require.NoError(t, yaml.UnmarshalStrict([]byte(doc+"\n"), &o.Object), "%s", doc)
		if len(o.Object) == 0 {
			continue
		}
		require.NotEmpty(t, o.GetKind(), "%s", doc)
		require.NotEmpty(t, o.GetName(), "%s", doc)
		key := o.GetKind() + " " + o.GetNamespace() + "/" + o.GetName()
		require.NotContains(t, out, key, "twice")
		out[key] = o
	}
	return out
}

// values are those of a test in YAML.
func values(t *testing.T, text string) map[string]any {
	t.Helper()
	out := map[string]any{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &out))
	return out
}

// text renders the chart for a release.
func text(t *testing.T, name, namespace, with string) string {
	t.Helper()
	rendered, err := manifests.Render(chart, manifests.Release{Name: name, Namespace: namespace, Values: values(t, with)})
	require.NoError(t, err)
	return manifests.Manifest(rendered, manifests.Templates...)
}

// render is the objects of a release called rightsizer, in a namespace of that name.
func render(t *testing.T, with string) map[string]*object {
	t.Helper()
	return decode(t, text(t, "rightsizer", "rightsizer", with))
}

// at is a field, nil where it is not there.
func at(o *object, path ...any) any {
	var current any = o.Object
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := current.(map[string]any)
			current = m[step]
		case int:
			l, _ := current.([]any)
			if step >= len(l) {
				return nil
			}
			current = l[step]
		}
	}
	return current
}

// everything is every object, and each value once; builtIn leaves out kinds that a
// cluster does not have by itself.
const (
	everything = builtIn + "serviceMonitor: {enabled: true, labels: {release: prometheus}}\nprometheusRule: {enabled: true, labels: {release: prometheus}}\n"
	builtIn    = `
replicas: 3
image: {repository: example.com/rs, digest: "sha256:` + digest + `", pullSecrets: [pull]}
rbac: {mode: remediate}
serviceAccount: {name: someone, annotations: {a: b}}
config: {log-level: debug, usage-sources: "metrics-api,kubelet,kubelet-throttling,kubelet-pressure"}
tls: {secretName: certificate}
extraArgs: [--log-format=json]
extraEnv: [{name: RIGHTSIZER_ENVIRONMENT, value: test}]
extraVolumes: [{name: audit, emptyDir: {}}]
extraVolumeMounts: [{name: audit, mountPath: /audit}]
service: {type: NodePort, annotations: {c: d}}
commonLabels: {team: platform}
podLabels: {pod: label}
podAnnotations: {pod: annotation}
priorityClassName: system-cluster-critical
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{operator: Exists}]
affinity: {nodeAffinity: {}}
networkPolicy:
  enabled: true
  clients: [{podSelector: {}}]
  scrapers: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
  egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]
`
	digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

func TestHelm3And4RenderTheSame(t *testing.T) {
	for name, with := range map[string]string{"as it is": "", "everything": everything} {
		t.Run(name, func(t *testing.T) {
			loaded, err := helm3loader.LoadDir(chart)
			require.NoError(t, err)
			three, err := helm3common.ToRenderValues(loaded, values(t, with), helm3common.ReleaseOptions{Name: "rightsizer", Namespace: "rightsizer", Revision: 1, IsInstall: true}, nil)
			require.NoError(t, err)
			rendered, err := helm3engine.Render(loaded, three)
			require.NoError(t, err)
			byName := map[string]string{}
			for path, text := range rendered {
				byName[filepath.Base(path)] = text
			}
			assert.Equal(t, render(t, with), decode(t, manifests.Manifest(byName, manifests.Templates...)))
			assert.Contains(t, byName["NOTES.txt"], "port-forward service/rightsizer")
		})
	}
}

func TestByDefaultNothingIsWritten(t *testing.T) {
	objects := render(t, "")
	kinds := map[string]int{}
	for _, o := range objects {
		kinds[o.GetKind()]++
	}
	assert.Equal(t, map[string]int{
		"CustomResourceDefinition": 3, "ValidatingAdmissionPolicy": 3, "ValidatingAdmissionPolicyBinding": 3,
		"ServiceAccount": 1, "ClusterRole": 5, "ClusterRoleBinding": 1, "Role": 1, "RoleBinding": 1,
		"ConfigMap": 1, "Service": 2, "Deployment": 1,
	}, kinds)
	// What is written cluster-wide is conditions of policies, and questions.
	for _, rule := range at(objects["ClusterRole /rightsizer"], "rules").([]any) {
		rule := rule.(map[string]any)
		verbs := rule["verbs"].([]any)
		if slices.ContainsFunc(verbs, func(v any) bool { return !slices.Contains([]any{"get", "list", "watch"}, v) }) {
			assert.Subset(t, []any{"rightsizerpolicies/status", "clusterrightsizerpolicies/status", "tokenreviews", "subjectaccessreviews"}, rule["resources"])
		}
	}
	remediate := render(t, "rbac: {mode: remediate}")
	assert.Contains(t, remediate, "ClusterRole /rightsizer-remediate")
	assert.Len(t, remediate, len(objects)+2)
}

func TestNoRuleHasAWildcard(t *testing.T) {
	for _, o := range render(t, everything) {
		rules, _ := o.Object["rules"].([]any)
		for _, rule := range rules {
			for field, list := range rule.(map[string]any) {
				assert.NotContains(t, list, "*", "%s %s: %s", o.GetKind(), o.GetName(), field)
			}
			assert.NotContains(t, rule.(map[string]any)["resources"], "secrets", "%s %s", o.GetKind(), o.GetName())
		}
	}
}

// Who is to change nothing is not overruled by several replicas, and 0 is no limit.
func TestDeploymentThatLooksOn(t *testing.T) {
	d := render(t, "replicas: 2\nconfig: {leader-elect: never}\nresources: {limits: {memory: \"0\"}}")["Deployment rightsizer/rightsizer"]
	container := []any{"spec", "template", "spec", "containers", 0}
	assert.NotContains(t, at(d, append(slices.Clone(container), "args")...), "--leader-elect=on")
	assert.Nil(t, at(d, append(slices.Clone(container), "env")...))
}

func TestDeployment(t *testing.T) {
	d := render(t, "")["Deployment rightsizer/rightsizer"]
	pod := []any{"spec", "template", "spec"}
	container := append(slices.Clone(pod), "containers", 0)
	field := func(path ...any) any { return at(d, append(slices.Clone(container), path...)...) }
	assert.EqualValues(t, 1, at(d, "spec", "replicas"))
	assert.Equal(t, map[string]any{"requests": map[string]any{"cpu": "50m", "memory": "64Mi"}, "limits": map[string]any{"cpu": "100m", "memory": "128Mi"}}, field("resources"))
	assert.Equal(t, "GOMEMLIMIT", field("env", 0, "name"))
	assert.Equal(t, "104689827", field("env", 0, "value"), "78 % of 128 Mi")
	assert.Equal(t, true, at(d, append(slices.Clone(pod), "securityContext", "runAsNonRoot")...))
	assert.Equal(t, true, field("securityContext", "readOnlyRootFilesystem"))
	assert.Equal(t, []any{"ALL"}, field("securityContext", "capabilities", "drop"))
	assert.Equal(t, "ghcr.io/rightsizer/rightsizer:"+at(d, "metadata", "labels", "app.kubernetes.io/version").(string), field("image"))
	assert.NotContains(t, field("args"), "--leader-elect=on")
	assert.Nil(t, at(d, append(slices.Clone(pod), "topologySpreadConstraints")...))
	assert.Equal(t, map[string]any{"path": "/readyz", "port": "metrics"}, field("readinessProbe", "httpGet"))

	d = render(t, everything)["Deployment rightsizer/rightsizer"]
	assert.Equal(t, "example.com/rs@sha256:"+digest, field("image"))
	assert.Contains(t, field("args"), "--leader-elect=on")
	assert.Contains(t, field("args"), "--log-format=json")
	assert.Contains(t, field("args"), "--tls-cert-file=/etc/rightsizer-tls/tls.crt")
	assert.Len(t, at(d, append(slices.Clone(pod), "topologySpreadConstraints")...), 2)
	assert.Equal(t, "someone", at(d, append(slices.Clone(pod), "serviceAccountName")...))
	assert.Equal(t, "system-cluster-critical", at(d, append(slices.Clone(pod), "priorityClassName")...))
	assert.Equal(t, "platform", at(d, "metadata", "labels", "team"))

	for _, c := range [][2]string{{"1Gi", "837518622"}, {"128M", "99840000"}, {"134217728", "104689827"}, {"1.5Gi", "1256277934"}} {
		d = render(t, `resources: {limits: {memory: "`+c[0]+`"}}`)["Deployment rightsizer/rightsizer"]
		assert.Equal(t, c[1], field("env", 0, "value"), c[0])
	}
	d = render(t, "goMemLimitPercent: 0")["Deployment rightsizer/rightsizer"]
	assert.Nil(t, field("env"))
	d = render(t, "resources: {limits: {memory: null}}")["Deployment rightsizer/rightsizer"]
	assert.Nil(t, field("env"))
	d = render(t, "extraEnv: [{name: GOMEMLIMIT, value: 90MiB}]")["Deployment rightsizer/rightsizer"]
	assert.Equal(t, []any{map[string]any{"name": "GOMEMLIMIT", "value": "90MiB"}}, field("env"), "once: server-side apply takes no name twice")
}

func TestUsageSourcesDecideOnRights(t *testing.T) {
	rights := func(with string) string {
		raw, err := yaml.Marshal(at(render(t, with)["ClusterRole /rightsizer"], "rules"))
		require.NoError(t, err)
		return string(raw)
	}
	for _, c := range []struct {
		sources                  string
		api, metrics, statistics bool
	}{
		{"metrics-api", true, false, false},
		{"kubelet", false, true, false},
		{"kubelet-throttling", false, true, false},
		{"metrics-api, kubelet-pressure", true, false, true},
		{"off", false, false, false},
	} {
		got := rights("config: {usage-sources: \"" + c.sources + "\"}")
		assert.Equal(t, c.api, strings.Contains(got, "metrics.k8s.io"), c.sources)
		assert.Equal(t, c.metrics, strings.Contains(got, "nodes/metrics"), c.sources)
		assert.Equal(t, c.statistics, strings.Contains(got, "nodes/stats"), c.sources)
	}
}

// A setting that the operator takes while it runs makes no new pods; any other does.
func TestOnlyWhatWantsARestartMakesNewPods(t *testing.T) {
	pods := func(config string) any {
		objects := render(t, "config: "+config)
		assert.NotEmpty(t, at(objects["ConfigMap rightsizer/rightsizer"], "data", "config.yaml"))
		return at(objects["Deployment rightsizer/rightsizer"], "spec", "template")
	}
	file := func(config string) any {
		return at(render(t, "config: "+config)["ConfigMap rightsizer/rightsizer"], "data", "config.yaml")
	}
	for _, c := range []struct {
		before, after string
		restarts      bool
	}{
		{"{}", "{log-level: debug}", false},
		{"{log-level: debug, environment: a}", "{exhaustion-percent: 80, environment: a}", false},
		{"{environment: a}", "{environment: b}", true},
		{"{log-level: debug}", "{log-level: debug, environment: a}", true},
		{"{}", "{sinks: [{name: a, url: \"https://example.com\"}]}", true},
	} {
		assert.NotEqual(t, file(c.before), file(c.after))
		if c.restarts {
			assert.NotEqual(t, pods(c.before), pods(c.after), c.after)
		} else {
			assert.Equal(t, pods(c.before), pods(c.after), c.after)
		}
	}
	live, err := os.ReadFile(chart + "/files/settings/live.txt")
	require.NoError(t, err)
	assert.Contains(t, strings.Fields(string(live)), "crash-loop-restarts")
	assert.NotContains(t, strings.Fields(string(live)), "grpc-bind-address")
}

// The admission policies know the operator by its account, and its namespace.
func TestAdmissionIsMadeForTheRelease(t *testing.T) {
	objects := decode(t, text(t, "rs", "ops", "serviceAccount: {name: sizer}"))
	assert.Equal(t, "request.userInfo.username != 'system:serviceaccount:ops:sizer'",
		at(objects["ValidatingAdmissionPolicy /approvals.rightsizer.dev"], "spec", "matchConditions", 0, "expression"))
	assert.Equal(t, "!(request.namespace in ['kube-system', 'ops'])",
		at(objects["ValidatingAdmissionPolicy /reserved.rightsizer.dev"], "spec", "validations", 0, "expression"))
	assert.Contains(t, objects, "Deployment ops/rs-rightsizer")
	assert.Equal(t, "ops", at(objects["ClusterRoleBinding /rs-rightsizer"], "subjects", 0, "namespace"))
}

// Who approves may write a Remediation's status where the admission policy says what
// of it, and nowhere else.
func TestApproversWriteStatusUnderTheAdmissionPolicyAlone(t *testing.T) {
	for install, want := range map[string]bool{"true": true, "false": false} {
		raw, err := yaml.Marshal(render(t, "admission: {install: "+install+"}")["ClusterRole /rightsizer-approver"].Object)
		require.NoError(t, err)
		assert.Contains(t, string(raw), "remediations/approve")
		assert.Equal(t, want, strings.Contains(string(raw), "remediations/status"), install)
	}
}

// For the names that the sources have, the chart's CRDs and policies are the sources.
func TestSourcesComeThroughUnchanged(t *testing.T) {
	objects := render(t, "")
	seen := 0
	for _, pattern := range []string{"/deploy/crd/*.yaml", "/deploy/admission/*.yaml"} {
		files, err := filepath.Glob(root + pattern)
		require.NoError(t, err)
		for _, file := range files {
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			for key, want := range decode(t, string(raw)) {
				require.Contains(t, objects, key)
				assert.Equal(t, want.Object["spec"], objects[key].Object["spec"], key)
				seen++
			}
		}
	}
	assert.Equal(t, 9, seen)
	rendered, err := manifests.Render(chart, manifests.Release{Name: "r", Namespace: "n"})
	require.NoError(t, err)
	assert.Equal(t, 3, strings.Count(rendered["crds.yaml"], "helm.sh/resource-policy: keep"))
	rendered, err = manifests.Render(chart, manifests.Release{Name: "r", Namespace: "n", Values: values(t, "crds: {keep: false}")})
	require.NoError(t, err)
	assert.NotContains(t, rendered["crds.yaml"], "helm.sh/resource-policy")
	rendered, err = manifests.Render(chart, manifests.Release{Name: "r", Namespace: "n", Values: values(t, "crds: {install: false}\nadmission: {install: false}\nrbac: {create: false, userRoles: false}\nserviceAccount: {create: false}")})
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"configmap.yaml", "deployment.yaml", "service.yaml"}, slices.Collect(maps.Keys(rendered)))
}

func TestServiceMonitorIsOne(t *testing.T) {
	o := render(t, everything)["ServiceMonitor rightsizer/rightsizer"]
	require.NotNil(t, o)
	raw, err := yaml.Marshal(o.Object)
	require.NoError(t, err)
	monitor := &monitoringv1.ServiceMonitor{}
	require.NoError(t, yaml.UnmarshalStrict(raw, monitor))
	assert.Equal(t, "prometheus", monitor.Labels["release"])
	require.Len(t, monitor.Spec.Endpoints, 1)
	ports := at(render(t, "")["Service rightsizer/rightsizer-metrics"], "spec", "ports").([]any)
	assert.Equal(t, ports[0].(map[string]any)["name"], monitor.Spec.Endpoints[0].Port)
}

func TestPrometheusRuleIsTheAlerts(t *testing.T) {
	o := render(t, everything)["PrometheusRule rightsizer/rightsizer"]
	require.NotNil(t, o)
	raw, err := yaml.Marshal(o.Object)
	require.NoError(t, err)
	rule := &monitoringv1.PrometheusRule{}
	require.NoError(t, yaml.UnmarshalStrict(raw, rule))
	assert.Equal(t, "prometheus", rule.Labels["release"])
	shipped, err := os.ReadFile(root + "/deploy/dashboards/alerts.yaml")
	require.NoError(t, err)
	assert.Equal(t, values(t, string(shipped))["groups"], at(o, "spec", "groups"))
	assert.NotEmpty(t, rule.Spec.Groups)
}

func TestSchemaRefuses(t *testing.T) {
	for with, names := range map[string]string{
		"replica: 2":                                 "replica",
		"replicas: two":                              "replicas",
		"rbac: {mode: write}":                        "mode",
		"image: {digest: latest}":                    "digest",
		"resources: {limits: {memory: 128MB}}":       "memory",
		"config: {grpc-bind-address: \":1\"}":        "grpc-bind-address",
		"config: {logLevel: debug}":                  "logLevel",
		"config: {log-level: loud}":                  "log-level",
		"config: {ring-bytes: 8MB}":                  "ring-bytes",
		"config: {exhaustion-percent: 80%}":          "exhaustion-percent",
		"config: {usage-sources: off}":               "usage-sources", // likewise false
		"config: {cluster-id: 0123}":                 "cluster-id",    // and 83
		"config: {leader-elect: on}":                 "leader-elect",  // which YAML reads as true
		"extraArgs: [debug]":                         "extraArgs",
		"terminationGracePeriodSeconds: 5":           "terminationGracePeriodSeconds",
		"podDisruptionBudget: {maxUnavailable: 0}":   "maxUnavailable",
		`podDisruptionBudget: {maxUnavailable: "0"}`: "maxUnavailable",
		"fullnameOverride: Right_Sizer":              "fullnameOverride",
		"serviceMonitor: {enabled: true, foo: true}": "foo",
	} {
		_, err := manifests.Render(chart, manifests.Release{Name: "r", Namespace: "n", Values: values(t, with)})
		assert.ErrorContains(t, err, names, with)
	}
}

// Each value that is described is in the schema, and the other way round.
func TestSchemaKnowsEveryValue(t *testing.T) {
	raw, err := os.ReadFile(chart + "/values.schema.json")
	require.NoError(t, err)
	var schema map[string]any
	require.NoError(t, yaml.Unmarshal(raw, &schema))
	raw, err = os.ReadFile(chart + "/values.yaml")
	require.NoError(t, err)
	have := values(t, string(raw))
	var compare func(path string, schema map[string]any, have map[string]any)
	compare = func(path string, schema map[string]any, have map[string]any) {
		properties, _ := schema["properties"].(map[string]any)
		delete(properties, "global")
		assert.ElementsMatch(t, slices.Collect(maps.Keys(properties)), slices.Collect(maps.Keys(have)), path)
		for key, value := range have {
			inner, _ := value.(map[string]any)
			described, _ := properties[key].(map[string]any)
			if described["additionalProperties"] == false && key != "resources" && key != "config" { // whose settings the operator knows
				compare(path+"."+key, described, inner)
			}
		}
	}
	compare("", schema, have)
}

// What the operator's reference calls the default is what the schema takes.
func TestSchemaTakesTheDefaults(t *testing.T) {
	reference, err := os.ReadFile(root + "/server/config/README.md")
	require.NoError(t, err)
	taken := 0
	for _, row := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\| [^|]+ \\| `([^`]+)` ").FindAllStringSubmatch(string(reference), -1) {
		if slices.Contains([]string{"grpc-bind-address", "events-bind-address", "metrics-bind-address"}, row[1]) {
			continue // the chart's
		}
		_, err := manifests.Render(chart, manifests.Release{Name: "r", Namespace: "n", Values: map[string]any{"config": map[string]any{row[1]: row[2]}}})
		assert.NoError(t, err, row[0])
		taken++
	}
	assert.Greater(t, taken, 30)
}

func TestGeneratedFilesAreCurrent(t *testing.T) {
	files, err := manifests.Generate(root)
	require.NoError(t, err)
	assert.Empty(t, manifests.Stale(root, files), "run make generate")
	assert.Contains(t, files, "deploy/install.yaml")
}

func TestTableWantsDescriptions(t *testing.T) {
	table, err := manifests.Table([]byte("# -- What it\n# is | does.\na: 1\nb:\n  # -- More.\n  c: []\n"))
	require.NoError(t, err)
	assert.Equal(t, "| key | default | meaning |\n|---|---|---|\n| `a` | `1` | What it is \\| does. |\n| `b.c` | `[]` | More. |\n", table)
	_, err = manifests.Table([]byte("a: 1\n"))
	assert.ErrorContains(t, err, "line 1: a wants a comment")
}

// overlay is what kustomize builds of one.
func overlay(t *testing.T, name string) string {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), root+"/deploy/kustomize/overlays/"+name)
	require.NoError(t, err)
	raw, err := built.AsYaml()
	require.NoError(t, err)
	return string(raw)
}

func TestOverlaysAreTheChart(t *testing.T) {
	for name, with := range map[string]string{
		"readonly":  "",
		"remediate": "rbac: {mode: remediate}",
		"ha":        "rbac: {mode: remediate}\nreplicas: 2",
	} {
		t.Run(name, func(t *testing.T) {
			got := decode(t, overlay(t, name))
			require.Contains(t, got, "Namespace /rightsizer")
			delete(got, "Namespace /rightsizer")
			want := render(t, with)
			assert.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(got)))
			for key, o := range want {
				assert.Equal(t, o, got[key], key)
			}
		})
	}
}

func TestInstallIsTheChartInItsNamespace(t *testing.T) {
	raw, err := os.ReadFile(root + "/deploy/install.yaml")
	require.NoError(t, err)
	got := decode(t, string(raw))
	assert.Equal(t, "restricted", at(got["Namespace /rightsizer"], "metadata", "labels", "pod-security.kubernetes.io/enforce"))
	delete(got, "Namespace /rightsizer")
	assert.Equal(t, render(t, ""), got)
}
