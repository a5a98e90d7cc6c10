package devcluster

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Launch builds the control plane when it has to, starts all components and
// returns when the cluster answers. It may be called once. On an error the
// cluster still has to be stopped.
func (c *Cluster) Launch(ctx context.Context) error {
	c.faults.Lock()
	defer c.faults.Unlock()
	ctx, release := c.joined(ctx)
	defer release()
	if c.launched {
		return fmt.Errorf("cluster %s was launched before: one Cluster is one life, Prepare makes another", c.options.Name)
	}
	c.launched = true
	binary, err := build(ctx, c.spawner, BuildOptions{
		SourceDir: c.options.SourceDir, CacheDir: c.options.CacheDir, Optimized: c.options.Optimized, Progress: c.report,
	})
	if err != nil {
		return err
	}
	if err := c.start(ctx, binary); err != nil {
		return fmt.Errorf("start cluster %s: %w", c.options.Name, err)
	}
	c.report(Progress{Phase: Ready, Message: fmt.Sprintf("cluster %s is ready with %d nodes", c.options.Name, c.options.Nodes)})
	return nil
}

// joined returns a context that ends with ctx and with the cluster.
func (c *Cluster) joined(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-c.stopping:
			cancel(errStopped)
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		cancel(nil)
		wg.Wait()
	}
}

func (c *Cluster) start(ctx context.Context, binary string) error {
	if err := c.writeInputs(); err != nil {
		return err
	}
	c.binary = binary
	c.starting("starting etcd")
	if err := c.run(Etcd, c.ports.etcdClient, c.ports.etcdPeer); err != nil {
		return err
	}
	c.starting("starting kube-apiserver")
	if err := c.stopPlaceholder(); err != nil {
		return err
	}
	if err := c.run(APIServer); err != nil {
		return err
	}
	if err := c.awaitAPIServer(ctx); err != nil {
		return err
	}
	c.starting("starting controllers, scheduler and nodes")
	if err := c.run(ControllerManager, c.ports.controllerManager); err != nil {
		return err
	}
	if err := c.run(Scheduler, c.ports.scheduler); err != nil {
		return err
	}
	if err := c.run(Kwok, c.ports.kwok); err != nil {
		return err
	}
	if err := c.createNodes(ctx); err != nil {
		return err
	}
	if err := c.await(ctx, "service accounts", c.serviceAccountsThere); err != nil {
		return err
	}
	if err := c.await(ctx, "ready nodes", c.nodesReady); err != nil {
		return err
	}
	if err := c.registerMetrics(ctx); err != nil {
		return err
	}
	return c.run(MetricsServer, c.ports.metricsServer)
}

func (c *Cluster) starting(message string) {
	c.report(Progress{Phase: Starting, Message: message})
}

// run starts a component on ports that were kept for it, and watches it.
func (c *Cluster) run(name Component, own ...*reservation) error {
	for _, r := range own {
		r.release()
	}
	p, err := c.spawner.launch(name, c.binary, c.arguments(name), c.files.environment(), c.files.log(name))
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.processes[name] = p
	c.writeState()
	c.mu.Unlock()
	c.wg.Go(func() { c.watch(p) })
	return nil
}

// startPatience bounds the wait for one step of the start once the binary is
// there. It is generous: on a machine that is busy with other builds steps of
// two seconds have taken twenty.
const startPatience = 3 * time.Minute

// await waits until ready says so. It gives up when a component ends by itself
// during the start; later the component is started again, for it may only have
// missed the API server, and it is given up when that did not help.
func (c *Cluster) await(ctx context.Context, what string, ready func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startPatience, fmt.Errorf("no %s within %s; the logs are in %s", what, startPatience, c.files.log("*")))
	defer cancel()
	return waitFor(ctx, 50*time.Millisecond, func() (bool, error) {
		if err := c.givenUp(); err != nil {
			return false, err
		}
		return ready(ctx)
	})
}

// givenUp is why the cluster cannot become what it should be, nil while it can.
func (c *Cluster) givenUp() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Phase == Ready {
		return c.err
	}
	for _, p := range c.processes {
		if p.endedByItself() {
			return p.failure()
		}
	}
	return nil
}

func (c *Cluster) awaitAPIServer(ctx context.Context) error {
	return c.await(ctx, "answer from kube-apiserver's /readyz", func(ctx context.Context) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		var code int
		c.kube.RESTClient().Get().AbsPath("/readyz").MaxRetries(0).Do(ctx).StatusCode(&code)
		return code == http.StatusOK, nil
	})
}

func (c *Cluster) serviceAccountsThere(ctx context.Context) (bool, error) {
	_, err := c.kube.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}
