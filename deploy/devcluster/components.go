package devcluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Component names one process of the control plane.
type Component string

// The components, in the order in which they are started.
const (
	Etcd              Component = "etcd"
	APIServer         Component = "kube-apiserver"
	ControllerManager Component = "kube-controller-manager"
	Scheduler         Component = "kube-scheduler"
	Kwok              Component = "kwok"
	MetricsServer     Component = "metrics-server"
)

// addresses of the simulated network; nothing listens there.
const (
	serviceRange = "10.96.0.0/16"
	serviceIP    = "10.96.0.1" // of the service kubernetes
	podRange     = "10.64.0.0/12"
)

// layout is where the files of one cluster lie.
type layout struct{ dir string }

func (l layout) pki(file string) string    { return filepath.Join(l.dir, "pki", file) }
func (l layout) config(c Component) string { return filepath.Join(l.dir, string(c)+".kubeconfig") }

func (l layout) log(c Component) string { return filepath.Join(l.dir, "log", string(c)+".log") }
func (l layout) admin() string          { return filepath.Join(l.dir, "kubeconfig") }
func (l layout) state() string          { return filepath.Join(l.dir, "state.json") }
func (l layout) auditLog() string       { return filepath.Join(l.dir, "log", "audit.log") }

func (l layout) auditPolicy() string { return filepath.Join(l.dir, "audit-policy.yaml") }
func (l layout) stages() string      { return filepath.Join(l.dir, "kwok.yaml") }
func (l layout) folders() []string   { return []string{l.dir, l.pki(""), filepath.Join(l.dir, "log")} }

func loopbackURL(port int) string                     { return fmt.Sprintf("https://127.0.0.1:%d", port) }
func argument(name, value string) string              { return "--" + name + "=" + value }
func portArgument(name string, r *reservation) string { return argument(name, strconv.Itoa(r.port)) }

// environment is what every component gets: the caller's, without what would
// make it look for another cluster or another user's configuration.
func (l layout) environment() []string {
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "KUBECONFIG", "KWOK_WORKDIR", "HOME", "GOGC", "GOMEMLIMIT":
		default:
			if !strings.HasPrefix(name, "ETCD_") { // etcd reads its flags from these too
				env = append(env, v)
			}
		}
	}
	return append(env, "HOME="+l.dir, "KWOK_WORKDIR="+l.dir)
}

// arguments is a component's command line.
func (c *Cluster) arguments(name Component) []string {
	switch name {
	case Etcd:
		return c.etcdArguments()
	case APIServer:
		return c.apiServerArguments()
	case ControllerManager:
		return append(c.clientArguments(name, c.ports.controllerManager),
			"--use-service-account-credentials",
			argument("service-account-private-key-file", c.files.pki("sa.key")),
			argument("root-ca-file", c.files.pki("ca.crt")),
			argument("cluster-signing-cert-file", c.files.pki("ca.crt")),
			argument("cluster-signing-key-file", c.files.pki("ca.key")),
			"--kube-api-qps=200", "--kube-api-burst=400")
	case Scheduler:
		return append(c.clientArguments(name, c.ports.scheduler), "--kube-api-qps=500", "--kube-api-burst=1000")
	case Kwok:
		return []string{
			argument("config", c.files.stages()),
			argument("kubeconfig", c.files.config(name)),
			"--manage-all-nodes=false",
			argument("manage-nodes-with-annotation-selector", simulatedNode+"=true"),
			argument("cidr", podRange),
			"--node-ip=127.0.0.1",
			portArgument("node-port", c.ports.kwok),
			argument("server-address", fmt.Sprintf("127.0.0.1:%d", c.ports.kwok.port)),
			argument("tls-cert-file", c.files.pki("kubelet.crt")),
			argument("tls-private-key-file", c.files.pki("kubelet.key")),
			"--node-lease-duration-seconds=40",
		}
	case MetricsServer:
		return []string{
			argument("kubeconfig", c.files.config(name)),
			argument("authentication-kubeconfig", c.files.config(name)),
			argument("authorization-kubeconfig", c.files.config(name)),
			"--bind-address=127.0.0.1",
			portArgument("secure-port", c.ports.metricsServer),
			argument("tls-cert-file", c.files.pki("metrics-server.crt")),
			argument("tls-private-key-file", c.files.pki("metrics-server.key")),
			argument("kubelet-certificate-authority", c.files.pki("ca.crt")),
			"--kubelet-use-node-status-port",
			"--kubelet-preferred-address-types=InternalIP",
			argument("metric-resolution", c.options.MetricResolution.String()), "--kubelet-request-timeout=5s", // has to be less than the resolution
		}
	}
	return nil
}

func (c *Cluster) etcdArguments() []string {
	client, peer := loopbackURL(c.ports.etcdClient.port), loopbackURL(c.ports.etcdPeer.port)
	return []string{
		argument("data-dir", filepath.Join(c.files.dir, "etcd")),
		argument("listen-client-urls", client),
		argument("advertise-client-urls", client),
		argument("listen-peer-urls", peer),
		argument("initial-advertise-peer-urls", peer),
		argument("initial-cluster", "default="+peer),
		"--client-cert-auth", argument("trusted-ca-file", c.files.pki("ca.crt")),
		argument("cert-file", c.files.pki("etcd.crt")), argument("key-file", c.files.pki("etcd.key")),
		"--peer-client-cert-auth", argument("peer-trusted-ca-file", c.files.pki("ca.crt")),
		argument("peer-cert-file", c.files.pki("etcd.crt")), argument("peer-key-file", c.files.pki("etcd.key")),
		"--unsafe-no-fsync", // test data: what a crash of the machine loses is no loss
		"--quota-backend-bytes=2147483648",
		"--log-level=warn",
	}
}

func (c *Cluster) apiServerArguments() []string {
	args := []string{
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
		portArgument("secure-port", c.ports.apiServer),
		argument("etcd-servers", loopbackURL(c.ports.etcdClient.port)),
		argument("etcd-cafile", c.files.pki("ca.crt")),
		argument("etcd-certfile", c.files.pki("apiserver-client.crt")), argument("etcd-keyfile", c.files.pki("apiserver-client.key")),
		argument("tls-cert-file", c.files.pki("apiserver.crt")), argument("tls-private-key-file", c.files.pki("apiserver.key")),
		argument("client-ca-file", c.files.pki("ca.crt")),
		argument("kubelet-certificate-authority", c.files.pki("ca.crt")),
		argument("kubelet-client-certificate", c.files.pki("apiserver-client.crt")),
		argument("kubelet-client-key", c.files.pki("apiserver-client.key")),
		"--kubelet-preferred-address-types=InternalIP,Hostname",
		"--service-account-issuer=https://kubernetes.default.svc",
		argument("service-account-key-file", c.files.pki("sa.pub")),
		argument("service-account-signing-key-file", c.files.pki("sa.key")),
		argument("service-cluster-ip-range", serviceRange),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--endpoint-reconciler-type=none", // loopback is no address that an Endpoints object may hold
		argument("requestheader-client-ca-file", c.files.pki("ca.crt")),
		"--requestheader-allowed-names=front-proxy",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		argument("proxy-client-cert-file", c.files.pki("front-proxy.crt")),
		argument("proxy-client-key-file", c.files.pki("front-proxy.key")),
		"--profiling=false",
	}
	if c.options.AuditPolicy != "" {
		args = append(args, argument("audit-policy-file", c.files.auditPolicy()), argument("audit-log-path", c.files.auditLog()))
	}
	return append(args, c.options.APIServerArgs...)
}

// clientArguments are common to the two components that follow the API server
// and serve nothing but their health. One replica needs no leader election.
func (c *Cluster) clientArguments(name Component, port *reservation) []string {
	return []string{
		argument("kubeconfig", c.files.config(name)),
		argument("authentication-kubeconfig", c.files.config(name)),
		argument("authorization-kubeconfig", c.files.config(name)),
		"--bind-address=127.0.0.1",
		portArgument("secure-port", port),
		argument("tls-cert-file", c.files.pki("loopback.crt")),
		argument("tls-private-key-file", c.files.pki("loopback.key")),
		"--leader-elect=false",
		"--profiling=false",
	}
}
