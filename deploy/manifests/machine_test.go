//go:build node

package manifests_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// node is containerd and a kubelet, with files in a folder of their own.
type node struct {
	t   *testing.T
	api *api
	dir string
}

func newNode(t *testing.T, a *api) *node {
	t.Helper()
	dir, err := os.MkdirTemp("", "node") // short: sockets are in it
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return &node{t, a, dir}
}

func (n *node) file(name, text string) string {
	n.t.Helper()
	path := filepath.Join(n.dir, name)
	require.NoError(n.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(n.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v\n%s", name, args, out)
}

// run starts a program that ends with the test, whose log is shown when that failed.
func (n *node) run(path string, args ...string) {
	n.t.Helper()
	log, err := os.Create(filepath.Join(n.dir, filepath.Base(path)+".log"))
	require.NoError(n.t, err)
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(n.t, cmd.Start())
	n.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
		if n.t.Failed() {
			raw, _ := os.ReadFile(log.Name())
			n.t.Logf("%s:\n%s", log.Name(), raw[max(0, len(raw)-8<<10):])
		}
	})
}

func (n *node) socket() string { return filepath.Join(n.dir, "cd.sock") }

func (n *node) startContainerd() {
	n.file("cni/10-net.conflist", `{"cniVersion":"0.4.0","name":"real","plugins":[{"type":"ptp","ipMasq":false,"ipam":{"type":"host-local","dataDir":"`+n.dir+`/cni-ipam","ranges":[[{"subnet":"10.88.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}`)
	config := n.file("containerd.toml", `version = 2
root = "`+n.dir+`/root"
state = "`+n.dir+`/state"
[grpc]
  address = "`+n.socket()+`"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "`+n.dir+`/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
`)
	n.run("/usr/bin/containerd", "--config", config)
	n.api.await(func(ctx context.Context) string {
		out, err := exec.CommandContext(ctx, "ctr", "-a", n.socket(), "version").CombinedOutput()
		if err != nil {
			return string(out)
		}
		return ""
	})
	hog, err := os.ReadFile(os.Getenv(hogVariable))
	require.NoError(n.t, err)
	for _, archive := range []string{
		n.image("localhost/pause:1", hog, "/hog", "pause"), n.image("localhost/hog:1", hog, "/hog"), os.Getenv(imageVariable),
	} {
		command(n.t, "ctr", "-a", n.socket(), "-n", "k8s.io", "images", "import", archive)
	}
}

// image writes an archive of an image that holds one program.
func (n *node) image(name string, program []byte, entrypoint ...string) string {
	n.t.Helper()
	layer := archive(n.t, map[string][]byte{strings.TrimPrefix(entrypoint[0], "/"): program})
	sum := sha256.Sum256(layer)
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{"Entrypoint": entrypoint, "User": "65532:65532"},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}},
	})
	require.NoError(n.t, err)
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})
	require.NoError(n.t, err)
	path := filepath.Join(n.dir, strings.NewReplacer("/", "_", ":", "_").Replace(name)+".tar")
	require.NoError(n.t, os.WriteFile(path, archive(n.t, map[string][]byte{"manifest.json": manifest, "config.json": config, "layer.tar": layer}), 0o600))
	return path
}

func archive(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}))
		_, err := w.Write(content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// certificate has the cluster sign one for the node.
func (n *node) certificate(name, signer string, usage certificatesv1.KeyUsage) (cert, key string) {
	t, a := n.t, n.api
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:node:" + nodeName, Organization: []string{"system:nodes"}}}
	if usage == certificatesv1.UsageServerAuth {
		template.IPAddresses, template.DNSNames = []net.IP{net.ParseIP(nodeAddress)}, []string{nodeName}
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, template, private)
	require.NoError(t, err)
	requests := a.kube.CertificatesV1().CertificateSigningRequests()
	csr, err := requests.Create(t.Context(), &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}), SignerName: signer,
			Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, usage},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	csr.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Test"}}
	_, err = requests.UpdateApproval(t.Context(), name, csr, metav1.UpdateOptions{})
	require.NoError(t, err)
	a.await(func(ctx context.Context) string {
		if csr, err = requests.Get(ctx, name, metav1.GetOptions{}); err != nil || len(csr.Status.Certificate) == 0 {
			return fmt.Sprintf("certificate %s: %v %v", name, err, csr.Status.Conditions)
		}
		return ""
	})
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return n.file(name+".crt", string(csr.Status.Certificate)), n.file(name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// sysctls are what a kubelet wants, bind-mounted over the machine's own.
var sysctls = map[string]string{
	"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
	"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}

func (n *node) startKubelet() {
	t, a := n.t, n.api
	for key, value := range sysctls {
		command(t, "mount", "--bind", n.file("sys/"+strings.ReplaceAll(key, "/", "_"), value+"\n"), "/proc/sys/"+key)
	}
	config := a.cluster.RESTConfig()
	ca := n.file("ca.crt", string(config.CAData))
	cert, key := n.certificate("node-client", certificatesv1.KubeAPIServerClientKubeletSignerName, certificatesv1.UsageClientAuth)
	serving, servingKey := n.certificate("node-serving", certificatesv1.KubeletServingSignerName, certificatesv1.UsageServerAuth)
	kubeconfig := n.file("kubeconfig", fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: a, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: a, user: {client-certificate: %q, client-key: %q}}]
contexts: [{name: a, context: {cluster: a, user: a}}]
current-context: a
`, config.Host, ca, cert, key))
	settings := n.file("kubelet.yaml", `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
address: `+nodeAddress+`
readOnlyPort: 0
healthzPort: 0
tlsCertFile: `+serving+`
tlsPrivateKeyFile: `+servingKey+`
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: `+ca+`}}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix://`+n.socket()+`
failSwapOn: false
oomScoreAdj: 0
clusterDNS: []
resolvConf: ""
enforceNodeAllocatable: [pods]
evictionHard: {memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%"}
imageGCHighThresholdPercent: 100
nodeStatusUpdateFrequency: 5s
podLogsDir: `+n.dir+`/podlogs
maxPods: 20
`)
	n.run(os.Getenv(kubeletVariable), "--config="+settings, "--kubeconfig="+kubeconfig, "--root-dir="+n.dir+"/kubelet",
		"--hostname-override="+nodeName, "--node-ip="+nodeAddress, "--cert-dir="+n.dir+"/kubelet/pki")
	a.await(func(ctx context.Context) string {
		found, err := a.kube.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
		if err != nil {
			return err.Error()
		}
		for _, c := range found.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
				return c.Message
			}
		}
		for _, taint := range found.Spec.Taints {
			return "taint " + taint.Key
		}
		return ""
	})
	t.Cleanup(n.removePods)
}

// removePods has the kubelet end its pods, so that no cgroup of theirs stays.
func (n *node) removePods() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, namespace := range []string{"victims", "rightsizer"} {
		_ = n.api.kube.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{})
	}
	err := wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		pods, err := n.api.kube.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + nodeName})
		return err == nil && len(pods.Items) == 0, nil //nolint:nilerr // the API server is asked again
	})
	assert.NoError(n.t, err, "pods are left on the node")
}

// serveAPI is the service kubernetes for pods, which kube-proxy would be: connections
// to its address go to the API server.
func (n *node) serveAPI() {
	target, err := url.Parse(n.api.cluster.RESTConfig().Host)
	require.NoError(n.t, err)
	listener, err := net.Listen("tcp", serviceAddress+":443")
	require.NoError(n.t, err)
	n.t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				to, err := net.Dial("tcp", target.Host)
				if err != nil {
					_ = from.Close()
					return
				}
				go func() { _, _ = io.Copy(to, from); _ = to.Close() }()
				_, _ = io.Copy(from, to)
				_ = from.Close()
			}()
		}
	}()
}
