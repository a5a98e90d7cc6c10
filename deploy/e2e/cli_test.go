package e2e_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"
)

// verb runs the binary and returns its exit code and what it wrote.
func verb(t *testing.T, program string, env []string, args ...string) (code int, out, errOut string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var stdout, stderr lockedBuffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &stdout, &stderr, append(os.Environ(), env...)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// Each verb of the binary against a running operator, in each form. What changes
// something is in approval_test.go and audit_test.go.
func TestEachVerbInEachForm(t *testing.T) {
	const namespace = "verbs"
	o := serve(t, cluster.KubeconfigPath()).ready()
	require.NoError(t, cluster.Apply(t.Context(), "oom", namespace))
	require.Eventually(t, func() bool {
		out, err := o.cli("events", "-n", namespace, "--type="+oomKilled)
		return err == nil && strings.Contains(out, "Deployment/checkout")
	}, patience, poll)
	recording := filepath.Join(t.TempDir(), "recording.jsonl.gz")
	code, _, errOut := verb(t, o.cmd.Path, []string{"KUBECONFIG=" + cluster.KubeconfigPath()}, "record", recording, "--duration=2s")
	require.Zero(t, code, errOut)
	usage := filepath.Join(t.TempDir(), "usage.csv")
	samples := strings.TrimSpace(strings.Repeat("100 ", 3*288))
	require.NoError(t, os.WriteFile(usage, []byte("series,resource,step_s,capacity,values\nshop/web/app,mem_mib,300,,"+samples+"\n"), 0o600))

	to := "--server=" + o.url
	for _, line := range [][]string{
		{"events", to, "-n", namespace, "--type=" + oomKilled},
		{"recommendations", to, "-n", namespace},
		{"recommendations", to, "--savings"},
		{"remediations", "list", to},
		{"audit", "list", to, "--limit=3"},
		{"audit", "verify", to},
		{"replay", recording, "--type=" + oomKilled, "-n", namespace},
		{"backtest", "--input", usage},
		{"config", "check"},
		{"config", "print"},
		{"version"},
	} {
		for _, form := range []string{"table", "json", "yaml"} {
			code, out, errOut := verb(t, o.cmd.Path, []string{"KUBECONFIG="}, append(line, "-o", form)...)
			if line[0] == "recommendations" && strings.Contains(errOut, awaited) {
				continue
			}
			require.Zero(t, code, "%v -o %s: %s", line, form, errOut)
			assert.NotContains(t, out, "\x1b", "%v: colours are for terminals", line)
			switch form {
			case "json":
				for document := range strings.Lines(out) {
					assert.Truef(t, json.Valid([]byte(document)), "%v: %s", line, document)
				}
			case "yaml":
				for document := range strings.SplitSeq(out, "---\n") {
					var into any
					assert.NoErrorf(t, yaml.Unmarshal([]byte(document), &into), "%v: %s", line, document)
				}
			default:
				if line[0] == "events" || line[0] == "replay" {
					assert.Contains(t, out, "Deployment/checkout", "%v", line)
				}
			}
		}
	}
	for line, want := range map[string]int{
		"remediations get absent -n " + namespace: 1, "remediations approve absent -n " + namespace: 1, "remediations reject absent -n " + namespace: 1,
		"remediations cancel absent -n " + namespace: 1, "remediations rollback absent -n " + namespace: 1,
		"remediations get absent": 2, "events --type=Nonsense!": 1,
	} {
		code, out, errOut := verb(t, o.cmd.Path, nil, append(strings.Fields(line), to)...)
		assert.Equalf(t, want, code, "%s: %s%s", line, out, errOut)
		assert.NotEmpty(t, errOut, line)
	}
}

// The plugin of kubectl finds the operator in its cluster and reaches it through the
// real API server and the kubelet's own code for forwarded ports, which leads to the
// operator beside the cluster instead of into a container.
func TestThePluginThroughTheCluster(t *testing.T) {
	kube, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	who := newPluginCallers(t, kube)
	o := guarded(t)
	address := strings.TrimPrefix(o.url, "http://")
	forwarded.to.Store(&address)
	t.Cleanup(func() { forwarded.to.Store(nil) })
	plugin := filepath.Join(t.TempDir(), "kubectl-rightsizer")
	require.NoError(t, os.Symlink(o.cmd.Path, plugin))
	env := []string{"KUBECONFIG=" + cluster.KubeconfigPath()}
	in := "--operator-namespace=" + podsNamespace

	code, out, errOut := verb(t, plugin, env, "events", in, "-n", podsNamespace)
	assert.Equal(t, 1, code, out)
	assert.Contains(t, errOut, "unauthenticated")
	assert.Contains(t, errOut, "--service-account")
	code, out, errOut = verb(t, plugin, env, "events", in, "-n", podsNamespace, "--service-account="+who)
	require.Zero(t, code, errOut)
	assert.NotContains(t, errOut, "cannot reach")
	code, _, errOut = verb(t, plugin, env, "events", in, "-n", "kube-system", "--service-account="+who)
	assert.Equal(t, 1, code, out)
	assert.Contains(t, errOut, "permission_denied", "the account may read one namespace")

	cmd := exec.CommandContext(t.Context(), plugin, "events", "-f", in, "-n", podsNamespace, "--service-account="+who, "--type="+oomKilled, "-o", "json")
	cmd.Env = append(os.Environ(), env...)
	follower := begin(t, cmd)
	follower.until(`"synced"`)
	require.NoError(t, cluster.Apply(t.Context(), "oom", podsNamespace))
	follower.until(`"oomKilled"`)
}

// newPluginCallers makes a pod that stands for the operator, and an account that may
// read its namespace; it returns the account's name.
func newPluginCallers(t *testing.T, kube kubernetes.Interface) string {
	t.Helper()
	k := objects{t: t, client: kube, namespace: podsNamespace}
	k.makeNamespace(t.Context(), podsNamespace)
	spec := template("operator", nil)
	spec.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "api", ContainerPort: 9090}}
	_, err := kube.CoreV1().Pods(podsNamespace).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "operator", Labels: map[string]string{"app.kubernetes.io/name": "rightsizer"}, Annotations: spec.Annotations},
		Spec:       spec.Spec,
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = kube.CoreV1().ServiceAccounts(podsNamespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "viewer"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	allow(t, podsNamespace, "viewer", []string{"events"}, []string{"get", "list", "watch"}, "system:serviceaccount:"+podsNamespace+":viewer")
	require.Eventually(t, func() bool {
		pod, err := kube.CoreV1().Pods(podsNamespace).Get(t.Context(), "operator", metav1.GetOptions{})
		return err == nil && pod.Status.Phase == corev1.PodRunning
	}, patience, poll)
	return podsNamespace + "/viewer"
}
