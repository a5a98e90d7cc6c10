package devcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Cluster is one control plane of this process. Prepare makes it, Launch brings
// it to life, Stop ends it.
type Cluster struct {
	options Options
	files   layout
	ports   *ports
	config  *rest.Config // the administrator's
	kube    *kubernetes.Clientset

	spawner  *spawner
	stopping chan struct{} // closed by Stop; bounds the goroutines below
	wg       sync.WaitGroup

	// faults serializes what starts and ends components on purpose, and guards
	// the two fields below it.
	faults   sync.Mutex
	binary   string                    // the control plane's, once built
	restarts map[Component][]time.Time // recent ones that we did not ask for

	mu          sync.Mutex
	state       State
	stateAt     time.Time    // when it was last written
	step        string       // what is being done, without counts
	placeholder *placeholder // until kube-apiserver takes its port over
	processes   map[Component]*process
	launched    bool
	err         error // why the cluster failed after its start
	failed      chan struct{}

	stop    sync.Once
	stopErr error
}

// errStopped is the cause of calls that Stop interrupted.
var errStopped = errors.New("the cluster is being stopped")

// Start prepares and launches a cluster and returns when all of it answers:
// nodes Ready, service accounts there, workloads running soon after they are
// applied. Usage figures follow about 20 s later.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	c, err := Prepare(o)
	if err != nil {
		return nil, err
	}
	if err := c.Launch(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// Prepare makes ports, certificates and the kubeconfig, which takes some
// milliseconds, and starts the placeholder on the API server's port. The
// kubeconfig is good from then on; requests get 503 until Launch is through.
func Prepare(o Options) (*Cluster, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	files, err := claim(o.StateDir, o.Name)
	if err != nil {
		return nil, err
	}
	c := &Cluster{options: o, files: files, spawner: newSpawner(), stopping: make(chan struct{}), failed: make(chan struct{}), processes: map[Component]*process{}, restarts: map[Component][]time.Time{}}
	if err := c.prepare(); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Cluster) prepare() error {
	var err error
	if c.ports, err = reservePorts(); err != nil {
		return err
	}
	serving, err := c.writeCertificates()
	if err != nil {
		return err
	}
	if c.config, err = clientcmd.BuildConfigFromFlags("", c.files.admin()); err != nil {
		return fmt.Errorf("read back the kubeconfig: %w", err)
	}
	c.config.QPS, c.config.Burst = 200, 400 // hundreds of nodes are made at once
	if c.kube, err = kubernetes.NewForConfig(c.config); err != nil {
		return fmt.Errorf("make a client of the cluster: %w", err)
	}
	self, err := processID(os.Getpid())
	if err != nil {
		return err
	}
	c.state = State{
		Name: c.options.Name, Holder: self, Detached: detached(), Since: time.Now(), Nodes: c.options.Nodes,
		Kubeconfig: c.files.admin(), Server: c.config.Host,
	}
	cert, err := serving.tls()
	if err != nil {
		return err
	}
	c.placeholder = startPlaceholder(c.ports.apiServer.listener, cert)
	c.report(Progress{Phase: Preparing, Message: "preparing cluster " + c.options.Name})
	return nil
}

// writeCertificates makes everybody's certificates and kubeconfigs and returns
// the API server's own certificate.
func (c *Cluster) writeCertificates() (pair, error) {
	p, err := newPKI(c.files.pki(""))
	if err != nil {
		return pair{}, err
	}
	loopback := []string{"127.0.0.1", "localhost"}
	var serving pair
	for _, cert := range []certificate{
		{name: "apiserver", commonName: "kube-apiserver", hosts: append(loopback, serviceIP, "kubernetes", "kubernetes.default", "kubernetes.default.svc")},
		{name: "apiserver-client", commonName: "kube-apiserver", organization: []string{"system:masters"}, client: true},
		{name: "front-proxy", commonName: "front-proxy", client: true},
		{name: "etcd", commonName: "etcd", hosts: loopback, client: true},
		{name: "kubelet", commonName: "kubelet", hosts: loopback},
		{name: "loopback", commonName: "loopback", hosts: loopback},
		{name: "metrics-server", commonName: "metrics-server", hosts: append(loopback, "metrics-server.kube-system.svc")},
	} {
		made, err := p.issue(cert)
		if err != nil {
			return pair{}, err
		}
		if cert.name == "apiserver" {
			serving = made
		}
	}
	server := loopbackURL(c.ports.apiServer.port)
	masters := []string{"system:masters"}
	for path, user := range map[string]certificate{
		c.files.admin():                   {name: "admin", commonName: "admin", organization: masters},
		c.files.config(ControllerManager): {name: "controller-manager", commonName: "system:kube-controller-manager"},
		c.files.config(Scheduler):         {name: "scheduler", commonName: "system:kube-scheduler"},
		c.files.config(Kwok):              {name: "kwok", commonName: "kwok", organization: masters},
		c.files.config(MetricsServer):     {name: "metrics-server-client", commonName: "metrics-server", organization: masters},
	} {
		user.client = true
		made, err := p.issue(user)
		if err != nil {
			return pair{}, err
		}
		if err := writeKubeconfig(path, kubeconfig("devcluster-"+c.options.Name, user.commonName, server, p.caPEM, made)); err != nil {
			return pair{}, err
		}
	}
	return serving, nil
}

// Name is the cluster's name.
func (c *Cluster) Name() string { return c.options.Name }

// KubeconfigPath is an administrator's kubeconfig, valid since Prepare, gone
// after Stop.
func (c *Cluster) KubeconfigPath() string { return c.files.admin() }

// RESTConfig is an administrator's client configuration; the caller's own copy.
func (c *Cluster) RESTConfig() *rest.Config { return rest.CopyConfig(c.config) }

// AuditLogPath is where the audit log lies when Options.AuditPolicy is set.
func (c *Cluster) AuditLogPath() string { return c.files.auditLog() }

// LogPath is where a component's output goes.
func (c *Cluster) LogPath(name Component) string { return c.files.log(name) }

// Components lists the running components in the order of their start.
func (c *Cluster) Components() []ComponentProcess {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.components()
}

func (c *Cluster) components() []ComponentProcess {
	var running []ComponentProcess
	for _, p := range c.processes {
		select {
		case <-p.exited:
		default:
			running = append(running, ComponentProcess{Name: p.name, PID: p.pid, Since: p.since})
		}
	}
	slices.SortFunc(running, func(a, b ComponentProcess) int { return a.Since.Compare(b.Since) })
	return running
}

// Failed is closed when the cluster can no longer be kept running; Err then
// says why.
func (c *Cluster) Failed() <-chan struct{} { return c.failed }

// Err is why Failed is closed, nil before.
func (c *Cluster) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// report tells the progress to everybody who wants to know: the caller, the
// placeholder's clients, `devcluster status`.
func (c *Cluster) report(p Progress) {
	c.options.Progress(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.placeholder != nil {
		c.placeholder.say(p.String())
	}
	newStep := c.step != p.Message
	c.step, c.state.Phase, c.state.Message = p.Message, p.Phase, p.String()
	if newStep || time.Since(c.stateAt) > time.Second {
		c.writeState()
	}
}

// writeState needs c.mu. That `status` cannot be told is no reason to end a
// cluster, so a failure is kept to ourselves.
func (c *Cluster) writeState() {
	c.state.Components = c.components()
	_ = c.state.write(c.files.state())
	c.stateAt = time.Now()
}

// Stop ends every process of the cluster, returns when they are gone and
// nothing listens, and removes the cluster's folder. It may be called at any
// time, also during Launch, and more than once.
func (c *Cluster) Stop() error {
	c.stop.Do(func() {
		close(c.stopping)
		c.faults.Lock() // Launch and the fault calls end on that and let go
		defer c.faults.Unlock()
		var errs []error
		errs = append(errs, c.stopPlaceholder())
		c.mu.Lock()
		running := c.processes
		c.processes = map[Component]*process{}
		c.mu.Unlock()
		// Nothing of the data outlives this, so there is nothing to be gentle with.
		for _, p := range running {
			errs = append(errs, p.kill())
		}
		c.wg.Wait()
		c.spawner.close()
		if c.ports != nil {
			c.ports.release()
		}
		if err := os.RemoveAll(c.files.dir); err != nil {
			errs = append(errs, fmt.Errorf("remove the folder of cluster %s: %w", c.options.Name, err))
		}
		c.stopErr = errors.Join(errs...)
	})
	return c.stopErr
}

func (c *Cluster) stopPlaceholder() error {
	c.mu.Lock()
	p := c.placeholder
	c.placeholder = nil
	c.mu.Unlock()
	if p == nil {
		return nil
	}
	return p.stop()
}

// detached says whether this process is a supervisor made by Up.
func detached() bool { return os.Getenv(supervisorVariable) != "" }
